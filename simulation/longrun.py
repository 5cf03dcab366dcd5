"""The long run of a variant whose Redis has too little memory: an exact LRU with TTL over drawn traffic.

Where everything fits, formulas tell the long run (`reports.theory`). Where Redis evicts, one cache is
simulated: of R sidecars any is like the others. It starts as such a cache is found at a random moment, by
Che's approximation (H. Che, Y. Tung, Z. Wang, "Hierarchical Web Caching Systems", IEEE JSAC 20, 2002): an
entry is evicted once it has not been used for the characteristic time τ, the same for all keys, at which the
expected entries fill the memory. A warm-up of a few τ takes away what that is off by, and what follows is
counted.

Redis evicts the oldest of five sampled entries and not the oldest of all, and finds expired entries by
sampling; both cost a little more than what is computed here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Variant
from simulation.engine import Behaviour, Contents, Trace, replay_on
from simulation.memory import Allocator, body_bytes, entry_bytes, mean_entry_bytes, room_bytes
from simulation.outcomes import DELAYED, MISS
from traffic.demand import Demand
from traffic.keys import draw

_REQUESTS: Final = 2_000_000  # that are counted: at one miss in a hundred the error is 0.7%
_MOST_WARMUP: Final = 4_000_000
_WARMUP: Final = 4.0  # in characteristic times
_FITS: Final = 0.98  # of the memory: entries come and go around their mean

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LongRun:
    """What becomes of a request in the long run, as shares of all; `evicted`: evictions per request."""

    calls: float
    delayed: float
    evicted: float

    @property
    def hits(self) -> float:
        """The share of requests that the cache answers at once."""
        return 1 - self.calls - self.delayed


def evicts(variant: Variant, allocator: Allocator = "jemalloc") -> bool:
    """Tell whether a variant's Redis has too little memory for what it would hold in the long run."""
    return variant.layout.cached and variant.workload.log is None and _idle_s(variant, allocator) < np.inf


def _idle_s(variant: Variant, allocator: Allocator) -> float:
    """Return the characteristic time τ in seconds; infinite where all entries fit."""
    demand, ttl_s = _demand(variant), variant.cache.ttl
    room = _FITS * room_bytes(variant) / mean_entry_bytes(variant, allocator)

    def held(idle_s: float) -> float:
        return float(_held(demand.rates, ttl_s, idle_s) @ demand.counts)

    if held(np.inf) <= room:
        return float(np.inf)
    low, high = 1e-6, 1e12
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if held(middle) < room else (low, middle)
    return low


def _held(rates: Array, ttl_s: float, idle_s: float) -> Array:
    return rates * ttl_s / (1 + rates * ttl_s) * -np.expm1(-rates * idle_s)


def _demand(variant: Variant) -> Demand:
    return Demand.of(variant.workload.keys, _rate(variant))


def _rate(variant: Variant) -> float:
    return variant.workload.rate / max(variant.layout.cache_count(variant.replicas), 1)


def simulate(variant: Variant, allocator: Allocator = "jemalloc", seed: int = 1) -> LongRun:
    """Simulate the long run of a variant at a limit of memory, by some millions of requests to one cache.

    With the scenario's TTL, fill time, joining and memory; jitter and stale copies are left out. What has
    been simulated is remembered.
    """
    matters = variant.model_dump_json(exclude={"id", "levels", "label", "link", "resources"})
    return _simulated(matters, allocator, seed)


def contents(variant: Variant, seed: int, allocator: Allocator = "jemalloc") -> Contents:
    """Return what the caches of a variant hold at a random moment, where Redis evicts: all that fill them.

    A start by Che's approximation, and a history of a few characteristic times after it. Entries stand in the
    order of their last use, the longest unused first; the moment is 0 µs.
    """
    rate, idle_s = _rate(variant), _idle_s(variant, allocator)
    count = int(np.clip(_WARMUP * idle_s * rate, 1000, _MOST_WARMUP))
    sizes = entry_bytes(body_bytes(variant, variant.workload.keys.count, seed), allocator)
    shared = variant.layout.shared
    found = []
    for cache in range(1 if shared else variant.replicas):
        random = np.random.default_rng([seed, 6, cache])
        replicas = variant.replicas if shared else 1
        trace = _traffic(variant, rate, count, replicas, sizes, random)
        start = _start(variant, rate, idle_s, random)
        held = replay_on(trace, _behaviour(variant), replicas, start).contents
        left_us = held.expires_us - trace.at_us[-1]
        alive = left_us > 0
        found.append((np.full(int(alive.sum()), cache), held.keys[alive], left_us[alive]))
    return Contents(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _behaviour(variant: Variant) -> Behaviour:
    return Behaviour(
        ttl_us=round(variant.cache.ttl * 1e6),
        fill_us=round(variant.upstream.latency_ms * 1000),
        shared=variant.layout.shared,
        joined=variant.cache.single_flight,
        lease=variant.cache.lease,
        capacity=room_bytes(variant),
    )


@lru_cache(maxsize=64)
def _simulated(matters: str, allocator: Allocator, seed: int) -> LongRun:
    variant = Variant.model_validate(json.loads(matters) | {"id": "v", "levels": {}})
    rate, idle_s = _rate(variant), _idle_s(variant, allocator)
    warmup = int(np.clip(_WARMUP * idle_s * rate, 1000, _MOST_WARMUP)) if np.isfinite(idle_s) else 1000
    sizes = entry_bytes(body_bytes(variant, variant.workload.keys.count, seed), allocator)
    shared = variant.layout.shared
    replicas = variant.replicas if shared else 1
    behaviour, random = _behaviour(variant), np.random.default_rng([seed, 5])
    trace = _traffic(variant, rate, warmup + _REQUESTS, replicas, sizes, random)
    begun = replay_on(_part(trace, 0, warmup), behaviour, replicas, _start(variant, rate, idle_s, random))
    counted = replay_on(_part(trace, warmup, warmup + _REQUESTS), behaviour, replicas, begun.contents)
    calls, delayed = (float((counted.outcomes == outcome).mean()) for outcome in (MISS, DELAYED))
    return LongRun(calls, delayed, counted.evicted / _REQUESTS)


def _traffic(
    variant: Variant,
    rate: float,
    count: int,
    replicas: int,
    sizes: NDArray[np.int64],
    random: np.random.Generator,
) -> Trace:
    at_us = (np.cumsum(random.exponential(1 / rate, count)) * 1e6).astype(np.int64)
    keys = draw(variant.workload.keys, count, int(random.integers(2**32)))
    return Trace(at_us, keys, random.integers(0, replicas, count), sizes=sizes[keys])


def _part(trace: Trace, begin: int, end: int) -> Trace:
    sizes = trace.sizes[begin:end] if trace.sizes is not None else None
    return Trace(trace.at_us[begin:end], trace.keys[begin:end], trace.replicas[begin:end], sizes=sizes)


def _start(variant: Variant, rate: float, idle_s: float, random: np.random.Generator) -> Contents:
    """Draw what one cache holds at a random moment; the entry that was not used for longest comes first."""
    keys, ttl_s = variant.workload.keys, variant.cache.ttl
    weights = np.arange(1, keys.count + 1, dtype=np.float64) ** -(
        keys.exponent if keys.distribution == "zipf" else 0.0
    )
    rates = rate * weights / weights.sum()
    present = np.flatnonzero(random.random(keys.count) < _held(rates, ttl_s, idle_s))
    within = -np.expm1(-rates[present] * idle_s)
    unused_s = -np.log1p(-random.random(present.size) * within) / rates[present]
    left_us = (random.random(present.size) * ttl_s * 1e6).astype(np.int64) + 1
    order = np.argsort(-unused_s)
    return Contents(np.zeros(present.size, np.int64), present[order].astype(np.int64), left_us[order])
