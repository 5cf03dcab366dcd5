"""A steady start: from it, misses come as in the long run, in every window, however short."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.model import Cache, Keys, Upstream, Variant, Workload
from simulation.engine import Contents, Trace, replay
from simulation.outcomes import HIT, MISS
from simulation.start import steady
from simulation.stationary import Lifetimes, look
from simulation.variants import behaviour_of
from traffic.keys import requests, shares

RATE, COUNT = 300.0, 400


def variant(**changed: Any) -> Variant:
    """Six replicas, the issue's own question."""
    parts: dict[str, Any] = {
        "topology": changed.pop("topology", "sidecar"), "replicas": changed.pop("replicas", 6),
        "workload": Workload(rate=RATE, keys=Keys(count=COUNT), arrivals=changed.pop("arrivals", "poisson")),
    }  # fmt: skip
    upstream = {name: changed.pop(name) for name in ("latency_ms", "latency_spread") if name in changed}
    return Variant(id="a", levels={}, cache=Cache(**changed), upstream=Upstream(**upstream), **parts)


def misses(of: Variant, window_s: float, seed: int) -> int:
    """Count a trial's misses, by the exact engine, from its steady start."""
    asked = requests(of.workload, of.replicas, window_s, seed)
    start = steady(of, asked, seed, lambda _: False)
    trace = Trace(asked.at_us, asked.keys, asked.replicas)
    return int((replay(trace, behaviour_of(of), of.replicas, start) == MISS).sum())


def expected_misses(of: Variant, window_s: float) -> float:
    """λW / (1 + λ(T + L)) for each key and cache; where a shared cache's replicas join their own calls alone,
    T + L is longer by the last call's start, and a cycle has more calls than one."""
    caches = 1 if of.topology == "separate" else of.replicas
    fill_s = of.upstream.latency_ms / 1000 * math.exp(of.upstream.latency_spread**2 / 2)
    rates = RATE / caches * shares(of.workload.keys)
    held_s, calls = of.cache.ttl + fill_s, 1.0
    if caches == 1 and of.replicas > 1 and fill_s:
        at_s = (np.arange(400) + 0.5) / 400 * fill_s
        share, others = rates[:, None] / of.replicas, of.replicas - 1
        none_later = (1 - np.exp(-share * at_s) + np.exp(-share * fill_s)) ** others
        held_s = held_s + (1 - none_later).mean(axis=1) * fill_s
        calls = 1 + others * -np.expm1(-share[:, 0] * fill_s)
    return float((caches * window_s * rates * calls / (1 + rates * held_s)).sum())


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
@pytest.mark.parametrize(("ttl_s", "window_s"), [(2, 5), (2, 0.7), (60, 5), (3600, 20), (3600, 0.5)])
def test_misses_come_as_in_the_long_run_however_short_the_window(
    topology: str, ttl_s: float, window_s: float
) -> None:
    of = variant(topology=topology, ttl=ttl_s)
    counts = [misses(of, window_s, seed) for seed in range(300)]
    expected = expected_misses(of, window_s)
    # Where misses are few their own spread is uncertain: that of a Poisson count is the least to allow for.
    error = max(np.std(counts), math.sqrt(expected)) / math.sqrt(len(counts))
    assert abs(np.mean(counts) - expected) < 4 * error


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
@pytest.mark.parametrize("ttl_s", [2, 60, 3600])
def test_the_mean_hit_ratio_of_60_trials_is_within_half_a_point_of_the_long_run(
    topology: str, ttl_s: float
) -> None:
    of = variant(topology=topology, ttl=ttl_s)
    rates = RATE * shares(of.workload.keys) / (1 if topology == "separate" else 6)
    # A request hits where the key is held and no longer being fetched.
    expected = float(rates * ttl_s / (1 + rates * (ttl_s + 0.02)) @ shares(of.workload.keys))

    def hits(seed: int) -> float:
        asked = requests(of.workload, of.replicas, 20, seed)
        trace = Trace(asked.at_us, asked.keys, asked.replicas)
        return float(
            (replay(trace, behaviour_of(of), 6, steady(of, asked, seed, lambda _: False)) == HIT).mean()
        )

    assert np.mean([hits(seed) for seed in range(60)]) == pytest.approx(expected, abs=0.005)


def test_a_cold_start_would_not_pass_this() -> None:
    of = variant(ttl=3600)
    asked = requests(of.workload, 6, 5, 1)
    cold = replay(Trace(asked.at_us, asked.keys, asked.replicas), behaviour_of(of), 6, Contents.none())
    assert (cold == MISS).sum() > 100 * expected_misses(of, 5)


@pytest.mark.parametrize("topology", ["sidecar", "separate"])
def test_equal_distances_between_requests_are_as_good(topology: str) -> None:
    of = variant(topology=topology, ttl=2, arrivals="constant")
    counts = [misses(of, 3, seed) for seed in range(200)]
    expected = expected_misses(of, 3)
    # A slot of 3.3 ms more or less beside 2 s: below a thousandth.
    assert np.mean(counts) == pytest.approx(
        expected, rel=0.001 + 4 * np.std(counts) / expected / math.sqrt(200)
    )


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_what_is_held_of_varying_lifetimes_is_what_a_long_history_leaves(
    jitter: float, spread: float
) -> None:
    """Against a simulation of the renewal process itself, long enough to forget its beginning."""
    rate, ttl_s, fill_s, count = 0.7, 3.0, 0.5, 40_000
    random = np.random.default_rng(5)
    at_s, until_s = np.full(count, 200.0), np.zeros(count)
    begins_s = random.exponential(1 / rate, count)
    while (left := begins_s < at_s).any():
        lifetime_s = ttl_s * (1 + jitter * random.uniform(-1, 1, count))
        lifetime_s += fill_s * np.exp(spread * random.standard_normal(count))
        until_s = np.where(left, begins_s + lifetime_s, until_s)
        begins_s = np.where(left, until_s + random.exponential(1 / rate, count), begins_s)
    simulated_s = until_s - at_s

    ones = np.ones(count)
    lifetimes = Lifetimes(ttl_s * ones, 0 * ones, jitter * ones, fill_s=fill_s, fill_spread=spread)
    moment = look(rate * ones, lifetimes, np.random.default_rng(6))
    assert moment.held.mean() == pytest.approx((simulated_s > 0).mean(), abs=4 * math.sqrt(0.5 / count))
    for quantile in (0.1, 0.5, 0.9):
        seen = np.quantile(moment.left_s[moment.held], quantile)
        assert (simulated_s[simulated_s > 0] < seen).mean() == pytest.approx(quantile, abs=0.012)


@pytest.mark.parametrize("failing", [0.0, 0.4])
def test_expired_copies_are_held_as_long_as_they_are_of_use(failing: float) -> None:
    """Against a simulation in which fetches fail, and are repeated at the next request after a pause."""
    rate, ttl_s, pause_s, grace_s, count = 0.8, 2.0, 1.0, 3.0, 40_000
    random = np.random.default_rng(7)
    expired_s = np.full(count, -1.0)  # when the copy expired that was held at the moment
    next_s = random.exponential(1 / rate, count)
    at_s = 150.0
    while (left := next_s < at_s).any():
        fails = random.random(count) < failing
        expired_s = np.where(left & ~fails, next_s + ttl_s, expired_s)
        then_s = next_s + np.where(fails, pause_s, ttl_s) + random.exponential(1 / rate, count)
        next_s = np.where(left, then_s, next_s)
    simulated_s = expired_s - at_s

    ones = np.ones(count)
    lifetimes = Lifetimes(ttl_s * ones, grace_s * ones, 0 * ones, failing=failing, pause_s=pause_s)
    moment = look(rate * ones, lifetimes, np.random.default_rng(8))
    close = 4 * math.sqrt(0.5 / count)
    assert (moment.held & (moment.left_s > 0)).mean() == pytest.approx((simulated_s > 0).mean(), abs=close)
    stale = (simulated_s <= 0) & (simulated_s > -grace_s)
    assert (moment.held & (moment.left_s <= 0)).mean() == pytest.approx(stale.mean(), abs=close)
    seen = np.median(moment.left_s[moment.held & (moment.left_s <= 0)])
    assert (simulated_s[stale] < seen).mean() == pytest.approx(0.5, abs=0.03)


def test_paths_that_are_not_there_are_held_for_their_own_time() -> None:
    of = variant(topology="separate", replicas=1, ttl=3600, negative_ttl=5, stale_if_error=60)
    asked = requests(of.workload, 1, 20, 1)
    start = steady(of, asked, 1, lambda path: path == asked.paths[0])
    left_s = start.expires_us[start.keys == 0] / 1e6
    assert (left_s <= 5 + 0.02).all()
    none = steady(variant(topology="separate", replicas=1, ttl=3600), asked, 1, lambda _: True)
    assert none.keys.size == 0, "without a lifetime of their own they are not stored"


@settings(max_examples=40, deadline=None)
@given(
    ttl_s=st.floats(0.05, 1e5),
    jitter=st.floats(0, 0.99),
    grace_s=st.sampled_from([0.0, 30.0]),
    latency_ms=st.floats(0, 2000),
    single_flight=st.booleans(),
    lease=st.booleans(),
    topology=st.sampled_from(["sidecar", "separate"]),
    replicas=st.integers(1, 8),
    arrivals=st.sampled_from(["poisson", "constant"]),
)
def test_contents_are_of_what_is_asked_for_and_of_a_possible_age(
    ttl_s: float, jitter: float, grace_s: float, latency_ms: float, **rest: Any
) -> None:
    of = variant(ttl=ttl_s, ttl_jitter=jitter, stale_while_revalidate=grace_s, latency_ms=latency_ms, **rest)
    asked = requests(of.workload, of.replicas, 2, 3)
    start = steady(of, asked, 3, lambda _: False)
    caches = 1 if of.topology == "separate" else of.replicas
    pairs = set(zip(asked.keys.tolist(), (asked.replicas * (caches > 1)).tolist(), strict=True))
    held = list(zip(start.keys.tolist(), start.caches.tolist(), strict=True))
    assert len(set(held)) == len(held)
    assert set(held) <= pairs
    longest_s = ttl_s * (1 + jitter) + 2 * latency_ms / 1000
    assert (start.expires_us <= longest_s * 1e6 + 1).all()
    assert (start.expires_us > -grace_s * 1e6 - 1).all()
    again = steady(of, asked, 3, lambda _: False)
    assert (again.expires_us == start.expires_us).all()


def test_without_a_cache_nothing_is_held() -> None:
    of = variant(topology="none")
    assert steady(of, requests(of.workload, 6, 2, 1), 1, lambda _: False).keys.size == 0
