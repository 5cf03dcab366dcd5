"""The run loop: the order of its steps, with a stack and a load that only take notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import conductor
from bench.store import RunFolder
from compose.stack import AppCounts, LinkReport, UpstreamCounts, Usage
from loadtests.order import Order
from reports.records import LoadFacts, RunEnd, RunRecord, StackChoice, TrialRecord
from reports.stopping import Decision
from scenarios import document, plan
from scenarios.model import Scenario, Variant

SCENARIO = document.load("quick", {"schedule.blocks": 2, "schedule.warmup": 0, "schedule.attempts": 1})
# Ten requests, each sent when it was due and answered a millisecond later.
DUE_US = [100_000 * number for number in range(10)]
ROWS = pa.table(
    {
        "intended_us": DUE_US,
        "sent_us": DUE_US,
        "end_us": [due + 1000 for due in DUE_US],
        "status": [200] * 10,
        "outcome": ["hit"] * 6 + ["miss"] * 4,
        "replica": [0] * 10,
        "key": list(range(10)),
        "bytes": [100] * 10,
    }
)


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
        pq.write_table(ROWS, order.rows)
        yield {"event": "started"}

    def facts(self) -> LoadFacts:
        return LoadFacts(
            offered=10, requests=10, outcomes={"hit": 6, "miss": 4}, warmup_s=self.order.warmup_s,
            duration_s=self.order.duration_s, most_users=2, cpu_ratio=0.1,
        )  # fmt: skip


class NoListener:
    def begins(self, trials: Sequence[plan.Trial], ended: int) -> None: ...
    def trial_begins(self, trial: plan.Trial) -> None: ...
    def stage(self, stage: str) -> None: ...
    def progress(self, event: dict[str, Any]) -> None: ...
    def trial_ended(self, record: TrialRecord, judged: Sequence[Any]) -> None: ...
    def says(self, sentence: str) -> None: ...


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    record = RunRecord(
        run_id="a-run", scenario=SCENARIO, command=[], started="2026-01-31T15:45:00+00:00",
        stack=StackChoice(name="processes", reason="a test"), environment={},
    )  # fmt: skip
    return RunFolder.create(tmp_path, record)


def conduct(run: RunFolder, stack: NotedStack, scenario: Scenario = SCENARIO) -> None:
    conductor.conduct(run, scenario, stack, NoListener(), start_load=stack.start_load)  # type: ignore[arg-type]


def test_each_trial_is_deployed_loaded_and_removed_in_the_planned_order(run: RunFolder) -> None:
    stack = NotedStack()
    conduct(run, stack)
    planned = [trial.variant for block in plan.blocks(SCENARIO) for trial in block]
    assert stack.notes == [note for variant in planned for note in (f"up {variant}", "load", "down")]


def test_a_stored_trial_has_what_every_party_counted(run: RunFolder) -> None:
    conduct(run, NotedStack())
    trial = run.ended()["b01-sidecar", 1]
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


def changed(run: RunFolder, **schedule: object) -> Scenario:
    """The scenario with another schedule, stored as the run's own."""
    scenario = SCENARIO.model_copy(update={"schedule": SCENARIO.schedule.model_copy(update=schedule)})
    record = run.record().model_copy(update={"scenario": scenario})
    (run.path / "run.json").write_text(record.model_dump_json())
    return scenario


def test_an_invalid_trial_is_tried_again_kept_and_superseded(run: RunFolder) -> None:
    class LosesACallAtFirst(NotedDeployment):
        def upstream_counts(self) -> UpstreamCounts:
            return UpstreamCounts(calls=3 if self._notes.count("load") == 1 else 4, by_status={})

    class Stack(NotedStack):
        def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
            super().deploy(variant, seed=seed, folder=folder)
            return LosesACallAtFirst(self.notes)

    conduct(run, Stack(), changed(run, attempts=2, blocks=1))
    first = plan.block(SCENARIO, 1)[0].id
    assert sorted(attempt for trial, attempt in run.ended() if trial == first) == [1, 2]
    assert len(run.ended()) == 3


def test_a_trial_that_stays_invalid_is_given_up_after_its_attempts(run: RunFolder) -> None:
    class Stack(NotedStack):
        def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
            deployment = super().deploy(variant, seed=seed, folder=folder)
            deployment.upstream_counts = lambda: UpstreamCounts(calls=0, by_status={})  # type: ignore[method-assign]
            return deployment

    conduct(run, Stack(), changed(run, attempts=3, blocks=1))
    assert len(run.ended()) == 6


def test_nothing_is_tried_again_once_the_budget_is_spent(run: RunFolder) -> None:
    class Stack(NotedStack):
        def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
            deployment = super().deploy(variant, seed=seed, folder=folder)
            deployment.upstream_counts = lambda: UpstreamCounts(calls=0, by_status={})  # type: ignore[method-assign]
            return deployment

    conduct(run, Stack(), changed(run, attempts=3, blocks=1, budget=1e-9))
    assert len(run.ended()) == 2


def test_blocks_are_added_while_a_comparison_is_undecided(run: RunFolder) -> None:
    decisions = iter([False, False, True])
    stack = NotedStack()
    conductor.conduct(
        run,
        changed(run, blocks=2, most_blocks=9),
        stack,  # type: ignore[arg-type]
        NoListener(),
        start_load=stack.start_load,  # type: ignore[arg-type]
        decide=lambda _: Decision(next(decisions), "because", 2, (), None),
    )
    assert {record.block for record in run.ended().values()} == {1, 2, 3, 4}


def test_no_block_is_begun_once_the_budget_is_spent(run: RunFolder) -> None:
    stack = NotedStack()
    conductor.conduct(
        run,
        changed(run, blocks=2, most_blocks=9, budget=1e-9),
        stack,  # type: ignore[arg-type]
        NoListener(),
        start_load=stack.start_load,  # type: ignore[arg-type]
        decide=lambda _: Decision(False, "because", 2, (), None),
    )
    assert {record.block for record in run.ended().values()} == {1, 2}
    assert end_of(run) == "budget"


def test_what_ended_a_run_is_stored_until_it_goes_on(run: RunFolder) -> None:
    run.end(RunEnd(why="budget"))
    seen = []

    def decide(_: Path) -> Decision:
        seen.append((run.path / "end.json").exists())
        return Decision(True, "because", 2, (), None)

    stack = NotedStack()
    conductor.conduct(run, SCENARIO, stack, NoListener(), start_load=stack.start_load, decide=decide)  # type: ignore[arg-type]
    assert (seen, end_of(run)) == ([False], "plan")


def end_of(run: RunFolder) -> str:
    return RunEnd.model_validate_json((run.path / "end.json").read_text()).why
