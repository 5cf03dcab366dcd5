"""Counts of Poisson traffic against the formulas: over many drawn traces, how far each is from theory."""

from __future__ import annotations

import numpy as np
import pytest

from reports.prediction.described import Described
from reports.theory import Caches, expected
from scenarios.model import Keys
from simulation.prediction.counting import Caching, Topology, count
from simulation.prediction.life import Life
from simulation.prediction.replays import Replays
from simulation.prediction.routing import route
from simulation.prediction.stream import Stream
from traffic.demand import Demand

KEYS, RATE, SPAN_S, FILL_S = Keys(count=60, exponent=0.8), 20.0, 40.0, 0.25
TRACES = 1000


@pytest.mark.parametrize(
    ("topology", "replicas", "lease"), [("separate", 4, False), ("separate", 4, True), ("sidecar", 4, False)]
)
def test_drawn_traffic_makes_the_calls_of_theory(topology: Topology, replicas: int, lease: bool) -> None:
    """z-scores over 1,000 traces are standard normal: their mean within 4 errors, their variance about 1."""
    ttls_s = [2.0, 10.0, 100.0]
    caching = Caching(fill_s=FILL_S, lease=lease)
    calls = np.empty((TRACES, len(ttls_s)))
    for seed in range(TRACES):
        stream = Stream.drawn(KEYS, RATE, SPAN_S, seed)
        to = route(stream, "random", replicas, seed)
        calls[seed] = count(stream, topology, caching, ttls_s, to).calls.sum(axis=1)
    shared = topology == "separate"
    for at, ttl_s in enumerate(ttls_s):
        caches = Caches(ttl_s, 1 if shared and lease else replicas, shared, FILL_S, joined=True)
        wanted = expected(Demand.of(KEYS, RATE), caches, (0.0, SPAN_S))
        assert wanted.calls_error is not None
        scores = (calls[:, at] - wanted.calls) / wanted.calls_error
        assert abs(scores.mean()) < 4 / TRACES**0.5
        assert scores.var() == pytest.approx(1.0, abs=4 * (2 / TRACES) ** 0.5)


def test_a_deployment_costs_what_theory_says() -> None:
    """Far from it, half the square of the probability that a cache held a key, for each cache and key."""
    keys, rate, ttl_s, replicas = Keys(count=300), 3.0, 600.0, 4
    caching = Caching(fill_s=0.02)
    wanted = Described(keys, rate, caching).deployed("sidecar", replicas, ttl_s).extra_calls
    found = []
    for seed in range(30):
        stream = Stream.drawn(keys, rate, 40_000.0, seed)
        replays = Replays(stream, caching, most_seeds=2)
        life = Life((round(20_000e6 + seed * 20e6),), 0)
        with_it, without = (
            replays.outcomes("sidecar", replicas, [ttl_s], life=each)[0].calls.sum(axis=1)
            for each in (life, Life())
        )
        found.append((with_it - without).mean())
    error = np.std(found, ddof=1) / len(found) ** 0.5
    assert abs(np.mean(found) - wanted) < 4 * error
    assert error < 0.05 * wanted
