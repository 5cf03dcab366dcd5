"""The run loop: the order of its steps, with a stack and a load that only take notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import conductor
from bench.store import RunFolder
from compose.stack import AppCounts, LinkReport, UpstreamCounts, Usage
from loadtests.order import Order
from reports.records import LoadFacts, RunRecord, StackChoice, TrialRecord
from scenarios import document, plan
from scenarios.model import Variant

SCENARIO = document.load("quick", {"schedule.blocks": 2})


class NotedDeployment:
    targets = ("http://127.0.0.1:1", "http://127.0.0.1:2")
    notes = ("a note",)
    link = LinkReport(means="loopback", achieved_ms=0.03, achieved_p99_ms=0.05, samples=10)

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._up = True

    def __enter__(self) -> NotedDeployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def app_counts(self) -> AppCounts:
        return AppCounts(outcomes={"hit": 6, "miss": 4}, upstream_calls=4)

    def upstream_counts(self) -> UpstreamCounts:
        return UpstreamCounts(calls=4, by_status={"200": 4})

    def measure_link(self) -> LinkReport:
        return LinkReport(means="loopback", achieved_ms=0.04, achieved_p99_ms=0.05, samples=10)

    def usage(self) -> Sequence[Usage]:
        self._cpu_s = getattr(self, "_cpu_s", 0.0) + 1.5
        return [Usage(name="app-1", cpu_s=self._cpu_s, memory_bytes=1000)]

    def down(self) -> None:
        if self._up:
            self._notes.append("down")
        self._up = False


class NotedStack:
    run_id = "a-run"
    load_cpus = (1,)

    def __init__(self) -> None:
        self.notes: list[str] = []

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
        assert folder.is_dir()
        self.notes.append(f"up {variant.id}")
        return NotedDeployment(self.notes)

    def start_load(self, **_: Any) -> NotedLoad:
        return NotedLoad(self.notes)


class NotedLoad:
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def __enter__(self) -> NotedLoad:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def events(self, order: Order) -> Iterator[dict[str, Any]]:
        self.order = order
        self.notes.append("load")
        yield {"event": "started"}

    def facts(self) -> LoadFacts:
        return LoadFacts(
            offered=10, requests=10, outcomes={"hit": 6, "miss": 4}, warmup_s=self.order.warmup_s,
            duration_s=self.order.duration_s, most_users=2, cpu_ratio=0.1,
        )  # fmt: skip


class NoListener:
    def begins(self, trials: Sequence[plan.Trial], ended: int) -> None: ...
    def trial_begins(self, trial: plan.Trial, number: int) -> None: ...
    def stage(self, stage: str) -> None: ...
    def progress(self, event: dict[str, Any]) -> None: ...
    def trial_ended(self, record: TrialRecord, judged: Sequence[Any]) -> None: ...


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    record = RunRecord(
        run_id="a-run", scenario=SCENARIO, command=[], started="2026-01-31T15:45:00+00:00",
        stack=StackChoice(name="processes", reason="a test"), environment={},
    )  # fmt: skip
    return RunFolder.create(tmp_path, record)


def conduct(run: RunFolder, stack: NotedStack) -> None:
    conductor.conduct(run, SCENARIO, stack, NoListener(), start_load=stack.start_load)  # type: ignore[arg-type]


def test_each_trial_is_deployed_loaded_and_removed_in_the_planned_order(run: RunFolder) -> None:
    stack = NotedStack()
    conduct(run, stack)
    planned = [trial.variant for block in plan.blocks(SCENARIO) for trial in block]
    assert stack.notes == [note for variant in planned for note in (f"up {variant}", "load", "down")]


def test_a_stored_trial_has_what_every_party_counted(run: RunFolder) -> None:
    conduct(run, NotedStack())
    trial = run.ended()["b01-sidecar"]
    assert trial.load.outcomes == trial.app.outcomes == {"hit": 6, "miss": 4}
    assert trial.upstream.calls == 4
    assert trial.link is not None
    assert (trial.link.achieved_ms, trial.link.after_ms) == (0.03, 0.04)
    assert trial.usage[0].cpu_s == 1.5, "what was used before the load is not the load's"
    assert trial.notes == ["a note"]


def test_a_load_that_fails_leaves_nothing_deployed_and_keeps_the_trials_before(run: RunFolder) -> None:
    class FailsTheSecondTime(NotedLoad):
        def events(self, order: Order) -> Iterator[dict[str, Any]]:
            yield from super().events(order)
            if self.notes.count("load") == 2:
                raise KeyboardInterrupt

    class Failing(NotedStack):
        def start_load(self, **_: Any) -> NotedLoad:
            return FailsTheSecondTime(self.notes)

    stack = Failing()
    with pytest.raises(KeyboardInterrupt):
        conduct(run, stack)
    assert stack.notes[-2:] == ["load", "down"]
    assert len(run.ended()) == 1


def test_a_resumed_run_tries_only_what_is_missing(run: RunFolder) -> None:
    conduct(run, NotedStack())
    first = plan.block(SCENARIO, 1)[0]
    (run.trial_folder(first.id) / "trial.json").unlink()
    stack = NotedStack()
    conduct(run, stack)
    assert stack.notes == [f"up {first.variant}", "load", "down"]
    assert len(run.ended()) == 4
