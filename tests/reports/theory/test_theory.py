from __future__ import annotations

from typing import Any

import ideal_cache
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import theory
from reports.theory import Caches, Demand
from scenarios.model import Keys

ZIPF = Demand.of(Keys(distribution="zipf", count=1000, exponent=1.0), 50.0)


@pytest.mark.parametrize(("replicas", "ratio"), [(1, 0.8329), (2, 0.7611), (4, 0.6805), (8, 0.5948)])
def test_steady_hit_ratio_of_sidecars(replicas: int, ratio: float) -> None:
    steady = theory.steady(ZIPF, Caches(60, replicas, shared=False))
    assert steady.hit_ratio == pytest.approx(ratio, abs=5e-5)


@pytest.mark.parametrize(("replicas", "calls"), [(1, 700.55), (2, 833.45), (4, 964.87), (8, 1090.49)])
def test_calls_from_a_cold_start(replicas: int, calls: float) -> None:
    expected = theory.expected(ZIPF, Caches(5, replicas, shared=False), (0, 30))
    assert expected.calls == pytest.approx(calls, abs=5e-3)


@given(
    replicas=st.integers(1, 8), ttl=st.floats(0.1, 100), fill=st.floats(0, 0.5), joined=st.booleans(),
    until=st.floats(1, 60),
)  # fmt: skip
def test_ratios_are_a_partition_and_sharing_never_costs_calls(
    replicas: int, ttl: float, fill: float, joined: bool, until: float
) -> None:
    of = {
        shared: theory.expected(ZIPF, Caches(ttl, replicas, shared, fill, joined), (0, until))
        for shared in (True, False)
    }
    for expected in of.values():
        assert expected.hit_ratio + expected.delayed_ratio + expected.miss_ratio == pytest.approx(1)
        assert min(expected.miss_ratio, expected.hit_ratio, expected.delayed_ratio) >= -0.01
    assert of[True].calls <= of[False].calls * (1 + 1e-9)
    if replicas == 1:
        assert of[True] == of[False]


@given(ttl=st.floats(0.5, 50), replicas=st.integers(1, 6), cut=st.floats(0.1, 0.9))
def test_windows_add_up(ttl: float, replicas: int, cut: float) -> None:
    caches = Caches(ttl, replicas, shared=True)
    whole = theory.expected(ZIPF, caches, (0, 20)).calls
    parts = (
        theory.expected(ZIPF, caches, (0, 20 * cut)).calls
        + theory.expected(ZIPF, caches, (20 * cut, 20)).calls
    )
    assert parts == pytest.approx(whole)


def test_r_sidecars_are_one_cache_with_the_lifetime_divided_by_r() -> None:
    sidecars = theory.steady(ZIPF, Caches(60, 4, shared=False))
    one = theory.steady(ZIPF, Caches(15, 1, shared=True))
    assert sidecars.hit_ratio == pytest.approx(one.hit_ratio)


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize(("replicas", "shared"), [(1, True), (3, False), (3, True)])
def test_simulated_caches_do_as_theory_says(replicas: int, shared: bool, joined: bool) -> None:
    demand = Demand.of(Keys(count=20), 20.0)
    caches = Caches(2.0, replicas, shared, 0.1, joined)
    runs = 200
    counted = np.array([_simulate(demand, caches, 10.0, seed) for seed in range(runs)])
    expected = theory.expected(demand, caches, (0, 10))
    calls, delayed = counted.mean(axis=0)
    error = counted[:, 0].std() / runs**0.5
    # Four standard errors, and what the mean dead time in place of its distribution may cost.
    assert calls == pytest.approx(expected.calls, abs=4 * error + 0.005 * expected.calls)
    assert delayed / expected.requests == pytest.approx(expected.delayed_ratio, abs=0.01)
    assert expected.calls_error == pytest.approx(counted[:, 0].std(), rel=0.2)


def _simulate(demand: Demand, caches: Caches, until: float, seed: int) -> tuple[int, int]:
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(0, until, random.poisson(demand.total * until)))
    keys = random.choice(demand.rates.size, times.size, p=demand.rates / demand.total)
    at = random.integers(caches.replicas, size=times.size)
    return ideal_cache.asked(zip(times, keys, at, strict=True), caches)


def test_uniform_keys_are_all_alike() -> None:
    demand = Demand.of(Keys(distribution="uniform", count=100), 10.0)
    assert demand.rates.tolist() == [0.1]
    assert demand.total == pytest.approx(10)


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.3])
def test_many_keys_are_grouped_without_harm(exponent: float) -> None:
    keys = Keys(count=50_000, exponent=exponent)
    weights = np.arange(1, keys.count + 1) ** -exponent
    grouped, each = Demand.of(keys, 1000), Demand(1000 * weights / weights.sum(), np.ones(keys.count))
    assert grouped.rates.size < 3000
    assert grouped.total == pytest.approx(1000)
    assert grouped.counts.sum() == keys.count
    caches = Caches(5, 4, shared=False, fill_s=0.02)
    expected, exact = (theory.expected(demand, caches, (1, 60)).calls for demand in (grouped, each))
    assert expected == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"topology": ["none"]}, "no cache"),
        ({"workload": {"log": "access.log", "rate": 5}}, "Poisson"),
        ({"upstream": {"error_ratio": 0.3}}, "fails"),
        ({"upstream": {"rate_limit": 5000}}, "quota"),
        ({"upstream": {"latency_ms": 200, "latency_spread": 0.5}}, "equally long"),
        ({"cache": {"ttl": 3, "ttl_jitter": 0.1}}, "equally long"),
        ({"cache": {"ttl": 3, "l1": 1}}, "memory"),
        ({"cache": {"ttl": 3, "single_flight": False, "stale_while_revalidate": 2}}, "joined"),
        ({"cache": {"ttl": 3, "lease": True}, "upstream": {"latency_ms": 4000}}, "lease"),
        ({"upstream": {"missing_ratio": 0.1}}, "kept for the TTL"),
        ({"cache": {"max_body": "10KB"}}, "kept for the TTL"),
    ],
)
def test_theory_says_why_it_is_silent(scenario_of: Any, fields: dict[str, Any], said: str) -> None:
    variant = scenario_of(**fields).variants[0]
    assert said in (theory.no_prediction(variant) or "")
    assert theory.of_variant(variant, (0, 10), 0.02, joined=False) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"upstream": {"latency_ms": 20, "latency_spread": 0.5}},
        {"cache": {"ttl": 3, "revalidate": 60}},
        {"cache": {"ttl": 3, "stale_if_error": 60, "negative_ttl": 5}},
    ],
    ids=str,
)
def test_what_changes_no_call_leaves_the_expectation_alone(scenario_of: Any, fields: dict[str, Any]) -> None:
    plain, changed = scenario_of().variants[0], scenario_of(**fields).variants[0]
    of_plain, of_changed = (theory.of_variant(one, (0, 10), 0.02, joined=True) for one in (plain, changed))
    assert of_plain is not None
    assert of_plain == of_changed


def test_in_the_long_run_lifetimes_that_differ_do_not_matter(scenario_of: Any) -> None:
    even, uneven = (
        theory.steady_of(scenario_of(cache={"ttl": 3, "ttl_jitter": jitter}).variants[0])
        for jitter in (0, 0.3)
    )
    assert even is not None
    assert even == uneven
    assert theory.steady_of(scenario_of(upstream={"error_ratio": 0.3}).variants[0]) is None


def test_in_the_long_run_the_calls_are_those_that_a_quota_would_have_to_bear(scenario_of: Any) -> None:
    free, limited = (
        theory.steady_of(scenario_of(upstream={"rate_limit": limit}).variants[0]) for limit in (None, 5000)
    )
    assert free is not None
    assert free == limited


def test_constant_arrivals_have_an_expectation_and_no_standard_error(scenario_of: Any) -> None:
    workload = {"rate": 200, "keys": {"count": 400}, "arrivals": "constant"}
    found = theory.of_variant(scenario_of(workload=workload).variants[0], (0, 10), 0.02, joined=False)
    assert found is not None
    assert found.calls_error is None


def test_a_variants_calls_second_by_second_are_those_of_the_whole(scenario_of: Any) -> None:
    """Replicas that share a lease, and refreshes behind stale answers, are joined in both."""
    cache = {"ttl": 1, "lease": True, "stale_while_revalidate": 2}
    variant = next(v for v in scenario_of(cache=cache, replicas=4).variants if v.topology == "separate")
    whole = theory.of_variant(variant, (0, 8), 0.3, joined=False)
    by_second = theory.calls_of(variant, range(9), 0.3, joined=False)
    assert whole is not None
    assert by_second is not None
    assert by_second[-1] == pytest.approx(whole.calls)
