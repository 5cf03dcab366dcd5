"""What is done to a deployment under load: it happens, is recorded, and divides the trial's figures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from noted import nobody

from bench.run import conductor
from bench.run.plans import Found
from bench.store import RunFolder
from compose.local.stack import ProcessStack
from reports.stored import runs
from reports.stored.records import RunEnd, RunRecord, StackChoice
from reports.stored.runs import StoredTrial
from reports.trial.windows import Window, edges, windows
from scenarios import plan
from scenarios.plan import Trial
from scenarios.reading import document
from scenarios.timeline import Action

pytestmark = pytest.mark.slow
# All of them hit; on a busy machine the app may give Redis up for a moment.
MOST = 0.85


class Once:
    """A plan of one trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def planned(self) -> Sequence[Trial]:
        return [self._trial]

    def next(self, found: Found) -> Trial | RunEnd:
        return RunEnd(why="plan") if found.attempts else self._trial


def tried(
    folder: Path, topology: str, *actions: Action, duration_s: float = 4
) -> tuple[StoredTrial, list[Window]]:
    """Run one real trial in which these things are done; return it, and its figures per window."""
    scenario = document.load(
        "quick",
        {
            "topology": topology, "replicas": 1, "schedule.duration": duration_s, "schedule.warmup": 0,
            "workload.rate": 150, "workload.arrivals": "constant", "workload.keys.count": 20,
            "cache.ttl": 3600, "upstream.latency_ms": 2, "link.rtt_ms": 0,
        },
    )  # fmt: skip
    run = RunFolder.create(
        folder,
        RunRecord(
            run_id="timeline", scenario=scenario, command=[], started="2026-01-31T15:45:00+00:00",
            stack=StackChoice(name="processes", reason="a test"), environment={},
        ),
    )  # fmt: skip
    [trial] = plan.block(scenario, 1)
    acted = Once(trial.model_copy(update={"actions": actions}))
    conductor.conduct(run, scenario, ProcessStack(f"timeline-{os.getpid()}"), nobody, plan=acted)
    [stored] = runs.read(run.path).trials
    assert stored.record.fault is None
    return stored, windows(stored.rows(), edges(stored.record))


def test_a_redis_that_dies_and_comes_back_is_seen_in_the_figures_of_its_time(tmp_path: Path) -> None:
    stored, found = tried(
        tmp_path, "separate", Action(at_s=1.5, do="kill_redis"), Action(at_s=2.5, do="start_redis")
    )
    killed, started = stored.record.timeline
    assert (killed.do, killed.asked_us, started.do, started.asked_us) == (
        "kill_redis", 1_500_000, "start_redis", 2_500_000,
    )  # fmt: skip
    for done in (killed, started):
        assert done.done_us is not None
        assert done.asked_us <= done.begun_us <= done.done_us < 4_000_000
    before, without = found[0], next(window for window in found if window.begin_us == killed.done_us)
    assert before.hit_ratio is not None
    assert before.hit_ratio > MOST, "a steady start of an hour's TTL: every key is held"
    assert without.requests > 20
    assert without.outcomes.get("hit", 0) == 0
    assert without.calls > 0.9 * without.requests
    assert sum(window.requests for window in found) == stored.record.load.requests == 600


def test_replicas_that_are_rolled_serve_to_the_end_of_the_trial_and_lose_no_request(tmp_path: Path) -> None:
    stored, found = tried(tmp_path, "sidecar", Action(at_s=0.5, do="roll"), duration_s=15)
    [rolled] = stored.record.timeline
    assert rolled.done_us is not None, rolled.reason
    assert rolled.asked_us <= rolled.begun_us < rolled.done_us < 15_000_000, "while it was loaded"
    assert stored.record.load.outcomes.get("error", 0) == 0
    assert stored.record.app is not None
    # What the old replica answers after it was asked for its counts, and before it ends, nobody counts.
    answered, told = stored.record.load.requests, sum(stored.record.app.outcomes.values())
    assert 0.95 * answered < told <= answered, "old and new replica were asked"
    assert found[0].hit_ratio is not None
    assert found[0].hit_ratio > MOST
    assert sum(window.calls for window in found[1:]) >= 15, "the new sidecar begins empty"


def test_what_cannot_be_done_is_in_the_record_and_the_trial_goes_on(tmp_path: Path) -> None:
    stored, found = tried(tmp_path, "sidecar", Action(at_s=2, do="cut_link"))
    [cut] = stored.record.timeline
    assert (cut.done_us, "no link to cut" in cut.reason) == (None, True)
    assert sum(window.requests for window in found) == stored.record.load.requests == 600
    hits = sum(window.outcomes.get("hit", 0) for window in found)
    assert hits > MOST * 600
