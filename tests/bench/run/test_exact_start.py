"""From a steady start, with a real Redis: hits are where the exact simulation of the requests has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import exact_trials
import pytest
from noted import nobody

from bench.run import conductor
from bench.store import RunFolder
from compose.local.stack import ProcessStack
from reports.stored import runs
from reports.stored.records import RunRecord, StackChoice
from scenarios.reading import document

pytestmark = pytest.mark.slow
# A request that comes within a few ms of an expiry can go either way; a busy machine makes that more ms.
MOST = 0.02


@pytest.mark.parametrize(
    "changed",
    [
        {"cache.ttl": 3600, "replicas": 3},
        {"cache.ttl": 5},
        {"cache.ttl": 5, "workload.arrivals": "constant", "cache.stale_if_error": 60},
        {"cache.ttl": 30, "upstream.missing_ratio": 0.3, "cache.negative_ttl": 30},
    ],
    ids=["an hour", "five seconds", "at equal distances", "with 404s"],
)
def test_requests_hit_where_the_simulation_hits(tmp_path: Path, changed: dict[str, Any]) -> None:
    scenario = document.load(
        "quick",
        {"schedule.blocks": 1, "schedule.duration": 3, "schedule.warmup": 0, "workload.rate": 120, **changed},
    )
    run = RunFolder.create(
        tmp_path,
        RunRecord(
            run_id="exact-start", scenario=scenario, command=[], started="2026-01-31T15:45:00+00:00",
            stack=StackChoice(name="processes", reason="a test"), environment={},
        ),
    )  # fmt: skip
    conductor.conduct(run, scenario, ProcessStack(f"exact-start-{os.getpid()}"), nobody)
    for trial in runs.read(run.path).trials:
        record = trial.record
        assert record.fault is None
        assert record.start == "steady"
        assert record.filling is not None
        assert record.filling.filled == record.filling.wanted > 0
        assert record.app is not None
        assert record.app.outcomes == record.load.outcomes
        assert record.app.upstream_calls == record.upstream.calls == record.load.outcomes.get("miss", 0)
    compared = list(exact_trials.compare(run.path))
    assert [one.share for one in compared if one.share > MOST] == [], compared
    assert len(compared) == 2
    assert all(one.hits[1] > 0.3 * one.requests for one in compared), "they would miss most from a cold start"
