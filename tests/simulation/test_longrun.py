"""The long run of caches with too little memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scenarios.model import Variant
from simulation import longrun, memory
from simulation.engine import Trace, replay
from simulation.outcomes import MISS
from simulation.variants import behaviour_of
from traffic.keys import draw


def variant(**fields: Any) -> Variant:
    given = {"id": "v", "levels": {}, "topology": "sidecar", "replicas": 1} | fields
    return Variant.model_validate(given)


def large(topology: str = "sidecar", **cache: Any) -> Variant:
    """20,000 paths in four sidecars of 16 MB each, or in one Redis of 64 MB."""
    return variant(
        topology=topology,
        replicas=4,
        workload={"rate": 1000, "keys": {"count": 20_000}},
        cache={"ttl": 3600} | cache,
    )


def test_quick_fits_and_a_large_catalogue_does_not() -> None:
    assert not longrun.evicts(variant(replicas=2, workload={"keys": {"count": 400}}, cache={"ttl": 3600}))
    assert longrun.evicts(large())
    assert longrun.evicts(large("separate"))
    assert not longrun.evicts(large(maxmemory="4GB"))
    # Few copies live at a time where the TTL is short.
    assert not longrun.evicts(large(ttl=1))
    assert not longrun.evicts(large("none"))


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
def test_the_long_run_is_that_of_a_long_simulation_from_empty_caches(topology: str) -> None:
    """Smaller: 2,000 paths, 2 MB in each cache, a TTL of 60 s; all four caches at once, two hours."""
    tight = variant(
        topology=topology, replicas=4, workload={"rate": 200, "keys": {"count": 2000}},
        cache={"ttl": 60, "maxmemory": "8MB" if topology == "sidecar" else "3MB"},
    )  # fmt: skip
    assert longrun.evicts(tight)
    found = longrun.simulate(tight)
    random, count = np.random.default_rng(3), 200 * 7200
    sizes = memory.entry_bytes(memory.body_bytes(tight, 2000, 1))
    keys = draw(tight.workload.keys, count, 3)
    at_us = (np.cumsum(random.exponential(1 / 200, count)) * 1e6).astype(np.int64)
    trace = Trace(at_us, keys, random.integers(0, 4, count), sizes=sizes[keys])
    outcomes = replay(trace, behaviour_of(tight, capacity=memory.room_bytes(tight)), 4)
    after_us = 600e6
    assert found.calls == pytest.approx((outcomes[at_us > after_us] == MISS).mean(), rel=0.01)
    assert 0 < found.evicted <= found.calls


def test_without_a_ttl_that_matters_it_is_an_lrus_hit_ratio() -> None:
    """Che's approximation: a key is there if it was asked for within τ, at which the memory is full."""
    one = variant(
        workload={"rate": 100, "keys": {"count": 5000, "exponent": 0.8}},
        cache={"ttl": 1e6, "maxmemory": "8MB"}, upstream={"body_spread": 0, "latency_ms": 0},
    )  # fmt: skip
    weights = np.arange(1, 5001) ** -0.8
    rates = 100 * weights / weights.sum()
    room = memory.room_bytes(one) / memory.mean_entry_bytes(one)
    low, high = 1e-3, 1e6
    for _ in range(80):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if -np.expm1(-rates * middle).sum() < room else (low, middle)
    hits = (rates * -np.expm1(-rates * low)).sum() / rates.sum()
    assert longrun.simulate(one).hits == pytest.approx(hits, abs=0.005)


def test_where_redis_has_no_room_at_all_nothing_is_a_hit() -> None:
    assert longrun.simulate(variant(cache={"maxmemory": "1MB"})).hits == pytest.approx(0)


def test_sizes_are_those_that_redis_told() -> None:
    """MEMORY USAGE of entries as the app stores them, and how many fitted into a server (docs/cost.md)."""
    bodies = np.array([200, 1024, 4096])
    on_redis, on_valkey = (memory.entry_bytes(bodies, kind) for kind in ("jemalloc", "libc"))
    assert on_redis - 55 == pytest.approx([504, 1400, 5240], rel=0.001)
    assert on_valkey - 34 == pytest.approx([432, 1264, 4336], rel=0.04)


@pytest.mark.parametrize(
    ("allocator", "maxmemory", "body", "spread", "kept"),
    [
        ("jemalloc", 16_000_000, 4096, 0, 2828), ("jemalloc", 64_000_000, 4096, 1, 8149),
        ("jemalloc", 64_000_000, 1024, 1, 29_096), ("jemalloc", 64_000_000, 200, 0, 111_957),
        ("libc", 16_000_000, 4096, 0, 3407), ("libc", 64_000_000, 4096, 1, 9008),
        ("libc", 64_000_000, 1024, 0, 48_653),
    ],
)  # fmt: skip
def test_so_many_entries_fit_as_servers_held_when_they_began_to_evict(
    allocator: memory.Allocator, maxmemory: int, body: int, spread: float, kept: int
) -> None:
    held = variant(cache={"maxmemory": maxmemory}, upstream={"body": body, "body_spread": spread})
    assert memory.room_bytes(held) / memory.mean_entry_bytes(held, allocator) == pytest.approx(kept, rel=0.01)
