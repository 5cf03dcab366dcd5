"""What replaying a log faster than it was does to the hit ratio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from access_logs import line, written

from scenarios.model import Cache, Variant, Workload
from scenarios.tried import as_tried
from simulation.compression import bend, straight
from simulation.lifetimes import stored_us

TRACES = Path(__file__).parents[3] / "shared" / "traces"


def variant(log: Path, topology: str = "separate", **fields) -> Variant:
    workload = {"arrivals": "log", "log": log, "speedup": 100.0} | fields
    return Variant.model_validate(
        {"id": "x", "levels": {}, "topology": topology, "workload": workload, "cache": {"ttl": "1h"},
         "upstream": {"latency_ms": 8}}
    )  # fmt: skip


def test_the_cache_s_times_are_divided_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(
        ttl=3600, revalidate=600, stale_while_revalidate=60, stale_if_error=1200, negative_ttl=10, l1=2,
        lease_wait=3,
    )  # fmt: skip
    given = variant(written(tmp_path, line())).model_copy(update={"cache": cache})
    tried = as_tried(given)
    assert tried.cache == Cache(
        ttl=36, revalidate=6, stale_while_revalidate=0.6, stale_if_error=12, negative_ttl=0.1, l1=0.02,
        lease_wait=3,
    )  # fmt: skip
    assert tried.model_copy(update={"cache": cache}) == given
    plain = given.model_copy(update={"workload": Workload()})
    assert as_tried(plain) == plain


def test_a_request_in_the_time_that_a_fill_becomes_is_no_hit_any_more(tmp_path: Path) -> None:
    # Fills of 10 ms are 1 s at 100 times: whoever asks within that second waits where it would have hit.
    log = written(tmp_path, *[line(f"/{n}", 10 * n + half) for n in range(20) for half in (0, 0)])
    found = bend(variant(log), 2.0, 1, steady=False)
    assert found is not None
    assert (found.own, found.sped_up) == (0.5, 0.0)
    assert straight(variant(log), 2.0, 1, steady=False) == 50.0, "a fill is half a second then"
    assert bend(variant(log, speedup=1.0), 2.0, 1, steady=False) is None
    assert bend(variant(log, "none"), 2.0, 1, steady=False) is None


def test_a_steady_start_finds_what_the_log_s_earlier_lines_leave(tmp_path: Path) -> None:
    lines = [line("/a", 0), line("/b", 1, status=404), line("/c", 2), line("/a", 100), line("/c", 101)]
    of = variant(written(tmp_path, *lines), **{"from": 60, "speedup": 40})
    found = bend(of, 1.05, 1, steady=True)
    assert found is not None
    assert (found.own, found.sped_up) == (1.0, 1.0)
    cold = bend(of, 1.05, 1, steady=False)
    assert cold is not None
    assert cold.own == 0.0


def test_only_what_the_app_keeps_has_a_lifetime() -> None:
    cache = Cache(ttl=60, negative_ttl=5)
    statuses = np.array([200, 301, 302, 403, 404, 410, 429, 500, 503], np.int16)
    assert stored_us(statuses, cache).tolist() == [60_000_000, 0, 0, 0, 5_000_000, 5_000_000, 0, 0, 0]


@pytest.mark.skipif(not TRACES.is_dir(), reason=f"the traces are not beside the repository: {TRACES}")
def test_a_sampled_log_cannot_be_replayed_two_thousand_times_faster() -> None:
    of = variant(TRACES / "access-2015-05-a.log", speedup=2000.0)
    found = bend(of, 100.0, 1, steady=False)
    assert found is not None
    assert found.own == pytest.approx(0.471, abs=0.01)
    assert found.by == pytest.approx(-0.06, abs=0.02)
    assert 100 <= (straight(of, 100.0, 1, steady=False) or 0) <= 500


@pytest.mark.skipif(not TRACES.is_dir(), reason=f"the traces are not beside the repository: {TRACES}")
@pytest.mark.parametrize("topology", ["sidecar", "separate"])
def test_a_log_of_real_seconds_can_be_replayed_sixty_times_faster(topology: str) -> None:
    of = variant(TRACES / "nasa-1995-08-01-a.log.gz", topology, speedup=60.0, **{"from": "3h"})
    found = bend(of, 20.0, 1, steady=True)
    assert found is not None
    assert abs(found.by) < 0.005
