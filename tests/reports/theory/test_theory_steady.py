"""Theory of the steady start: caches as they are at a random moment of a long-running service."""

from __future__ import annotations

from typing import Any

import ideal_cache
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate

from reports import theory
from reports.theory import Caches, Demand
from reports.theory.renewal import renewals
from scenarios.model import Keys

PATHS_400 = Demand.of(Keys(count=400, exponent=1.0), 300.0)


@pytest.mark.parametrize("window_s", [0.5, 20, 3600, 7200])
@pytest.mark.parametrize(("shared", "an_hour"), [(True, 400), (False, 2383)])
def test_calls_of_any_window_are_those_of_the_long_run(window_s: float, shared: bool, an_hour: int) -> None:
    """400 paths, Zipf(1.0), 300/s, a TTL of an hour; one cache, or six that share the traffic."""
    found = theory.expected(PATHS_400, Caches(3600, 6, shared, joined=True), (0, window_s), "steady")
    assert found.calls * 3600 / window_s == pytest.approx(an_hour, rel=2e-3)


def test_twenty_seconds_say_little_of_an_hours_ttl() -> None:
    found = theory.expected(PATHS_400, Caches(3600, 6, shared=True, joined=True), (0, 20), "steady")
    assert found.calls_error is not None
    assert found.calls_error * 180 == pytest.approx(268, abs=10)


RATES = st.floats(0.01, 50)
SPANS = st.floats(0.1, 20)


@given(rate=RATES, dead_s=SPANS, until_s=SPANS)
@settings(deadline=None)
def test_mean_and_variance_are_those_of_the_equilibrium_renewal_process(
    rate: float, dead_s: float, until_s: float
) -> None:
    """D. R. Cox, Renewal Theory, 1962: t/μ, and t/μ + 2/μ · ∫ m(u) du − (t/μ)², m the ordinary process."""
    rates, dead, mean_s = np.array([rate]), np.array([dead_s]), dead_s + 1 / rate
    found = renewals(rates, dead, until_s, "steady")
    assert found.mean[0] == pytest.approx(until_s / mean_s, rel=1e-6)

    def ordinary(time_s: float) -> float:  # the first fill comes one whole cycle after time 0
        return float(renewals(rates, dead, time_s - dead_s).mean[0])

    kinks = [n * dead_s for n in range(1, int(until_s / dead_s) + 1)][:40]
    area = integrate.quad(ordinary, 0, until_s, points=kinks, limit=400)[0] if kinks else 0.0
    cox = until_s / mean_s + 2 / mean_s * area - (until_s / mean_s) ** 2
    assert found.variance[0] == pytest.approx(cox, rel=1e-3, abs=1e-6)


@given(rate=RATES, dead_s=SPANS, until_s=SPANS)
@settings(deadline=None)
def test_fills_scatter_no_more_than_independent_events_do(rate: float, dead_s: float, until_s: float) -> None:
    """Which makes an interval of Poisson's for the calls of steady trials a cautious one."""
    found = renewals(np.array([rate]), np.array([dead_s]), until_s, "steady")
    assert found.variance[0] <= found.mean[0] * (1 + 1e-6)


@given(ttl=st.floats(0.5, 50), replicas=st.integers(1, 6), cut=st.floats(0.1, 0.9), shared=st.booleans())
@settings(deadline=None)
def test_windows_add_up_and_errors_depend_on_their_length_alone(
    ttl: float, replicas: int, cut: float, shared: bool
) -> None:
    caches = Caches(ttl, replicas, shared, joined=True)
    whole, first, second = (
        theory.expected(PATHS_400, caches, window, "steady")
        for window in ((0, 20), (0, 20 * cut), (20 * cut, 20))
    )
    assert first.calls + second.calls == pytest.approx(whole.calls)
    as_long = theory.expected(PATHS_400, caches, (0, 20 * (1 - cut)), "steady")
    assert second.calls_error == pytest.approx(as_long.calls_error)


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize(("replicas", "shared"), [(1, True), (3, False), (3, True)])
@pytest.mark.parametrize("ttl_s", [2.0, 60.0])
def test_simulated_caches_do_as_theory_says(ttl_s: float, replicas: int, shared: bool, joined: bool) -> None:
    """Over 400 draws the calls have the expected mean, and scatter as the standard error says."""
    demand, caches, draws = Demand.of(Keys(count=20), 20.0), Caches(ttl_s, replicas, shared, 0.1, joined), 400
    counted = np.array([simulate(demand, caches, 10.0, seed) for seed in range(draws)])
    expected = theory.expected(demand, caches, (0, 10), "steady")
    calls, delayed = counted.mean(axis=0)
    error = counted[:, 0].std() / draws**0.5
    # Four standard errors, and what the mean dead time in place of its distribution may cost.
    assert calls == pytest.approx(expected.calls, abs=4 * error + 0.005 * expected.calls)
    assert delayed / expected.requests == pytest.approx(expected.delayed_ratio, abs=0.01)
    assert expected.calls_error == pytest.approx(counted[:, 0].std(), rel=0.15)


@pytest.mark.parametrize(("replicas", "shared"), [(6, True), (6, False)])
def test_the_scores_of_short_trials_are_standard_normal(replicas: int, shared: bool) -> None:
    demand, caches = Demand.of(Keys(count=400), 300.0), Caches(3600, replicas, shared, 0.02, joined=True)
    expected = theory.expected(demand, caches, (0, 20), "steady")
    assert expected.calls_error is not None
    draws = np.array([simulate(demand, caches, 20.0, seed)[0] for seed in range(60)])
    scores = (draws - expected.calls) / expected.calls_error
    assert abs(scores.mean()) < 4 / 60**0.5
    assert 0.7 < scores.std() < 1.35


def simulate(demand: Demand, caches: Caches, until_s: float, seed: int) -> tuple[int, int]:
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0, until_s, random.poisson(demand.total * until_s)))
    keys = random.choice(demand.rates.size, times.size, p=demand.rates / demand.total)
    at = random.integers(caches.replicas, size=times.size)
    held = steady_start(demand.rates, caches, random)
    return ideal_cache.asked(zip(times, keys, at, strict=True), caches, held)


def steady_start(
    rates: NDArray[np.float64], caches: Caches, random: np.random.Generator
) -> dict[tuple[int, int], float]:
    """Draw what the caches hold at a random moment, by key and cache, and until when."""
    copies = 1 if caches.shared else caches.replicas
    held: dict[tuple[int, int], float] = {}
    for key, rate in enumerate(rates / copies):
        for cache in range(copies):
            serves_s = caches.ttl_s + caches.fill_s + last_start(rate, caches, random)
            if random.random() < rate * serves_s / (1 + rate * serves_s):
                held[key, cache] = random.uniform(0, serves_s)
    return held


def last_start(rate: float, caches: Caches, random: np.random.Generator) -> float:
    """Draw when the last call for a key begins that lands after the first, seconds after that one began."""
    if caches.joined and not caches.shared:
        return 0.0
    begun = random.uniform(0, caches.fill_s, random.poisson(rate * caches.fill_s))
    if not caches.joined:
        return float(begun.max(initial=0.0))
    replicas = random.integers(caches.replicas, size=begun.size)  # the first call is replica 0's
    return max((begun[replicas == replica].min() for replica in {*replicas.tolist()} - {0}), default=0.0)


def test_constant_arrivals_have_an_expectation_and_no_standard_error(scenario_of: Any) -> None:
    workload = {"rate": 200, "keys": {"count": 400}, "arrivals": "constant"}
    variant = scenario_of(workload=workload).variants[0]
    found = theory.of_variant(variant, (0, 10), 0.02, joined=False, start="steady")
    assert found is not None
    assert found.calls_error is None


def test_a_variants_calls_second_by_second_are_alike(scenario_of: Any) -> None:
    variant = scenario_of().variants[0]
    by_second = theory.calls_of(variant, range(9), 0.02, joined=True, start="steady")
    assert by_second is not None
    steady = theory.steady_of(variant)
    assert steady is not None
    assert np.diff(by_second) == pytest.approx(steady.calls, rel=2e-3)


def test_calls_per_fill_of_replicas_that_share_a_cache_by_hand() -> None:
    """One key at 10 requests/s, a TTL of 1 s, fills of 0.1 s, two replicas that join only their own misses.

    The other replica calls as well with probability 1 − e^(−0.5) = 0.393469: 1.393469 calls per fill. Its
    call begins, on average, (1 − e^(−0.5))/5 − 0.1·e^(−0.5) = 0.018041 s after the first. So a key is held
    for 1.118041 s, and a cycle has 1 + 11.18041 requests.
    """
    one = Demand(np.array([10.0]), np.array([1.0]))
    found = theory.steady(one, Caches(1.0, 2, True, 0.1, True))
    assert found.miss_ratio == pytest.approx(1.393469 / 12.18041, rel=1e-6)
    alone = theory.steady(one, Caches(1.0, 1, True, 0.1, True))
    assert alone.miss_ratio == pytest.approx(1 / 12, rel=1e-9)
