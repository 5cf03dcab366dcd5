"""What the caches of a trial hold when it starts: after a log's earlier lines, and where Redis is full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scenarios.model import Cache, Keys, Upstream, Variant, Workload
from simulation import longrun, start
from simulation.engine import Contents, Trace, replay
from simulation.memory import body_bytes, entry_bytes, room_bytes
from simulation.outcomes import HIT, MISS
from simulation.variants import behaviour_of
from traffic.keys import Requests, history, requests

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def log_of(folder: Path, lines: list[tuple[float, str, int]]) -> Path:
    """Write a log of requests: seconds since its beginning, path, status."""
    path = folder / "access.log"
    path.write_text(
        "".join(
            f"h - - [{BEGAN + timedelta(seconds=int(at_s)):%d/%b/%Y:%H:%M:%S +0000}] "
            f'"GET /{name} HTTP/1.1" {status} 9\n'
            for at_s, name, status in lines
        )
    )
    return path


def variant(workload: Workload, **changed: Any) -> Variant:
    upstream = Upstream(latency_ms=changed.pop("latency_ms", 0))
    topology, replicas = changed.pop("topology", "sidecar"), changed.pop("replicas", 2)
    return Variant(
        id="a", levels={}, topology=topology, replicas=replicas, workload=workload, cache=Cache(**changed),
        upstream=upstream,
    )  # fmt: skip


def steady(of: Variant, asked: Requests, seed: int) -> Contents:
    return start.steady(of, asked, seed, lambda _: False)


@settings(max_examples=30, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 5), min_size=20, max_size=120),
    ttl_s=st.integers(1, 60),
    negative_s=st.sampled_from([0, 7]),
    topology=st.sampled_from(["sidecar", "separate"]),
    seed=st.integers(0, 1000),
)
def test_a_trial_within_a_log_goes_on_as_if_the_log_had_been_replayed_from_its_beginning(
    tmp_path_factory: pytest.TempPathFactory,
    gaps: list[int],
    ttl_s: int,
    negative_s: int,
    topology: str,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    at_s = np.cumsum([0, *gaps])
    assume(at_s[-1] >= 2)
    names = random.integers(0, 6, at_s.size)
    folder = tmp_path_factory.mktemp("log")
    lines = [(at, f"p{name}", 404 if name == 5 else 200) for at, name in zip(at_s, names, strict=True)]
    from_s = float(at_s[-1]) / 2
    log = log_of(folder, lines)
    workload = Workload.model_validate({"arrivals": "log", "log": log, "from": from_s})
    of = variant(workload, topology=topology, ttl=ttl_s, negative_ttl=negative_s)
    asked, before = requests(workload, 2, 10_000, seed), history(workload, 2, seed)
    held = steady(of, asked, seed)

    def lifetimes_us(of_requests: Requests) -> np.ndarray:
        assert of_requests.statuses is not None
        return np.where(of_requests.statuses == 200, ttl_s, negative_s) * 1_000_000

    behaviour = behaviour_of(of)
    continued = replay(
        Trace(asked.at_us, asked.keys, asked.replicas, lifetimes_us(asked)), behaviour, 2, held
    )
    whole = replay(
        Trace(
            np.concatenate([before.at_us, asked.at_us]),
            np.concatenate([before.keys, asked.keys]),
            np.concatenate([before.replicas, asked.replicas]),
            np.concatenate([lifetimes_us(before), lifetimes_us(asked)]),
        ),
        behaviour,
        2,
    )
    assert continued.tolist() == whole[before.at_us.size :].tolist()


def test_what_a_log_asked_for_and_the_trial_does_not_is_left_out(tmp_path: Path) -> None:
    log = log_of(tmp_path, [(0, "a", 200), (1, "b", 200), (10, "b", 200), (11, "c", 200)])
    workload = Workload.model_validate({"arrivals": "log", "log": log, "from": 5})
    of = variant(workload, topology="separate", ttl=3600)
    asked = requests(workload, 2, 100, 1)
    held = steady(of, asked, 1)
    assert [asked.paths[key] for key in held.keys.tolist()] == ["/b"]
    assert held.expires_us.tolist() == [(3600 - 4) * 1_000_000]


def test_an_expired_copy_that_is_still_of_use_is_held(tmp_path: Path) -> None:
    log = log_of(tmp_path, [(0, "a", 200), (8, "b", 200), (10, "a", 200), (11, "b", 200)])
    workload = Workload.model_validate({"arrivals": "log", "log": log, "from": 9})
    asked = requests(workload, 2, 100, 1)
    of = variant(workload, topology="separate", ttl=3, stale_if_error=60)
    held = steady(of, asked, 1)
    assert sorted(held.expires_us.tolist()) == [-6_000_000, 2_000_000]
    assert steady(variant(workload, topology="separate", ttl=3), asked, 1).expires_us.tolist() == [2_000_000]


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
@pytest.mark.parametrize("topology", ["sidecar", "separate"])
@pytest.mark.parametrize("ttl_s", [3, 40])
def test_a_log_that_goes_round_at_another_rate_starts_as_in_the_long_run(
    tmp_path: Path, arrivals: str, topology: str, ttl_s: float
) -> None:
    random = np.random.default_rng(4)
    # Bursts of one path after the other: nothing that keys drawn at random would have.
    names = np.repeat(random.zipf(1.5, 400).clip(1, 60), random.integers(1, 4, 400))
    log = log_of(tmp_path, [(second, f"p{name}", 200) for second, name in enumerate(names)])
    workload = Workload(rate=40, arrivals=arrivals, log=log)
    of = variant(workload, topology=topology, ttl=ttl_s)
    long = requests(workload, 2, 4000, 1)
    outcomes = replay(Trace(long.at_us, long.keys, long.replicas), behaviour_of(of), 2)
    expected = (outcomes[outcomes.size // 4 :] == HIT).mean()

    def hit_ratio(seed: int) -> float:
        # As long as the log, so that each of its requests comes as often.
        asked = requests(workload, 2, names.size / 40, seed)
        trace = Trace(asked.at_us, asked.keys, asked.replicas)
        return float((replay(trace, behaviour_of(of), 2, steady(of, asked, seed)) == HIT).mean())

    ratios = [hit_ratio(seed) for seed in range(60)]
    error = np.std(ratios) / np.sqrt(len(ratios))
    assert np.mean(ratios) == pytest.approx(expected, abs=4 * error + 0.002)


def full(topology: str) -> Variant:
    return Variant(
        id="a", levels={}, topology=topology, replicas=4,
        workload=Workload(rate=300, keys=Keys(count=20_000, exponent=0.8)),
        cache=Cache(ttl=600, maxmemory=12_000_000),
    )  # fmt: skip


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
def test_a_full_redis_starts_full_with_what_was_used_last_at_the_end(topology: str) -> None:
    of = full(topology)
    asked = requests(of.workload, 4, 5, 1)
    held = steady(of, asked, 1)
    sizes = entry_bytes(body_bytes(of, 20_000, 1))
    for cache in range(1 if topology == "separate" else 4):
        used = sizes[held.keys[held.caches == cache]].sum()
        assert 0.95 * room_bytes(of) < used <= room_bytes(of)
    first = held.caches == 0
    later = np.arange(first.sum()) > first.sum() / 2
    assert np.median(held.keys[first][later]) < np.median(held.keys[first][~later]), "hot keys were used last"
    assert set(asked.keys.tolist()) - set(held.keys.tolist()), "cold ones are not there"
    assert set(held.keys.tolist()) - set(asked.keys.tolist()), "others fill it"
    assert start.path(asked, int(held.keys[-1])).endswith(f"{held.keys[-1]:06d}.md")


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
def test_a_full_redis_misses_as_in_the_long_run(topology: str) -> None:
    of = full(topology)
    behaviour = behaviour_of(of, capacity=room_bytes(of))
    sizes = entry_bytes(body_bytes(of, 20_000, 1))

    def misses(seed: int) -> float:
        asked = requests(of.workload, 4, 5, seed)
        trace = Trace(asked.at_us, asked.keys, asked.replicas, sizes=sizes[asked.keys])
        return float((replay(trace, behaviour, 4, steady(of, asked, seed)) == MISS).mean())

    shares = [misses(seed) for seed in range(25)]
    error = np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) == pytest.approx(longrun.simulate(of).calls, abs=4 * error + 0.005)
