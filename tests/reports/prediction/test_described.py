from __future__ import annotations

import time

import pytest

from reports.prediction.described import Described
from reports.theory import Caches, expected
from scenarios.model import Keys
from simulation.prediction.counting import Caching
from traffic.demand import Demand

KEYS = Keys(count=1000, distribution="zipf", exponent=1.0)


@pytest.mark.parametrize("ttl_s", [0.5, 2.0, 59.0])
def test_an_hour_of_short_ttls_is_sixty_minutes_of_the_long_run(ttl_s: float) -> None:
    source = Described(KEYS, 200.0, Caching(fill_s=0.02, joined=True))
    (found,) = source.outcomes("sidecar", 3, [ttl_s])
    caches = Caches(ttl_s, 3, shared=False, fill_s=0.02, joined=True)
    hour = expected(Demand.of(KEYS, 200.0), caches, (0.0, 3600.0), "steady")
    assert found.total == pytest.approx(hour.requests)
    assert found.total_calls == pytest.approx(hour.calls, rel=1e-4)
    assert found.hits / found.total == pytest.approx(hour.hit_ratio, abs=1e-4)


def test_short_ttls_take_no_longer_than_long_ones_by_much() -> None:
    source = Described(KEYS, 201.0, Caching(fill_s=0.02, joined=True))
    began = time.process_time()
    source.outcomes("sidecar", 3, [0.5, 1.0, 2.0, 4.0])
    assert time.process_time() - began < 2
