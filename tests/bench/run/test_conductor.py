"""The run loop: the order of its steps, with a stack and a load that only take notes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from noted import (
    SCENARIO,
    NotedDeployment,
    NotedFilling,
    NotedLoad,
    NotedStack,
    QuietWatch,
    changed,
    new_run,
    nobody,
)
from servers import eventually

from bench.run import attempt, conductor
from bench.store import RunFolder
from loadtests.order import Order
from reports.inference.stopping import Decision
from reports.stored.records import RunEnd
from scenarios import plan
from scenarios.facts import FillingFacts, UpstreamFacts
from scenarios.model import Scenario, Variant


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "Watch", QuietWatch)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


def conduct(run: RunFolder, stack: NotedStack, scenario: Scenario = SCENARIO) -> None:
    conductor.conduct(run, scenario, stack, nobody, start_load=stack.start_load)  # type: ignore[arg-type]


def test_each_trial_is_deployed_loaded_and_removed_in_the_planned_order(run: RunFolder) -> None:
    stack = NotedStack()
    conduct(run, stack)
    planned = [trial.variant for block in plan.blocks(SCENARIO) for trial in block]
    assert stack.notes == [
        note for variant in planned for note in (f"up {variant}", "filled", "load", "down")
    ]


def test_a_stored_trial_has_what_every_party_counted(run: RunFolder) -> None:
    conduct(run, NotedStack())
    trial = run.ended()["b01-sidecar", 1]
    assert trial.load.outcomes == trial.app.outcomes == {"hit": 6, "miss": 4}
    assert trial.upstream.calls == 4
    assert trial.link is not None
    assert (trial.link.achieved_ms, trial.link.after_ms) == (0.03, 0.04)
    assert trial.usage[0].cpu_s == 1.5, "what was used before the load is not the load's"
    assert trial.notes == ["a note"]


def test_a_steady_start_is_recorded_with_what_filling_took(run: RunFolder) -> None:
    conduct(run, NotedStack())
    trial = run.ended()["b01-sidecar", 1]
    assert trial.start == "steady"
    assert trial.filling is not None
    assert trial.filling.wanted == trial.filling.filled > 10
    assert (trial.filling.calls, trial.filling.off_ms) == (3, 0.0)


def test_a_cold_start_fills_nothing(run: RunFolder) -> None:
    stack = NotedStack()
    conduct(run, stack, changed(run, start="cold"))
    assert "filled" not in stack.notes
    trial = run.ended()["b01-sidecar", 1]
    assert (trial.start, trial.filling) == ("cold", None)


def test_what_running_services_have_cached_is_unknown_and_left_alone(run: RunFolder) -> None:
    class Running(NotedStack):
        deploys = False

    stack = Running()
    conduct(run, stack)
    assert "filled" not in stack.notes
    assert run.ended()["b01-sidecar", 1].start == "unknown"


def test_caches_that_were_not_filled_in_time_are_filled_again_for_a_later_moment(run: RunFolder) -> None:
    moments: list[float] = []

    class Slow(NotedFilling):
        def store(self, begin_s: float) -> FillingFacts:
            moments.append(begin_s)
            if len(moments) == 1:
                assert eventually(lambda: time.time() > begin_s)
            return super().store(begin_s)

    class Stack(NotedStack):
        def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
            deployment = super().deploy(variant, seed=seed, folder=folder)
            deployment.fill = lambda held: Slow(self.notes, held)  # type: ignore[method-assign]
            return deployment

    stack = Stack()
    conduct(run, stack, changed(run, blocks=1))
    assert stack.notes[1:3] == ["filled", "load"]
    assert moments[1] > moments[0] + 0.3


def filled_with(failed: dict[str, int]) -> NotedStack:
    class Failing(NotedFilling):
        def store(self, begin_s: float) -> FillingFacts:
            self._notes.append("stored")
            wanted = len(self.held)
            return FillingFacts(wanted=wanted, filled=wanted - sum(failed.values()), failed=failed, calls=3)

    class Stack(NotedStack):
        def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
            deployment = super().deploy(variant, seed=seed, folder=folder)
            deployment.fill = lambda held: Failing(self.notes, held)  # type: ignore[method-assign]
            return deployment

    return Stack()


def test_what_the_app_would_not_store_is_no_fault(run: RunFolder) -> None:
    stack = filled_with({"too-large": 2, "status-404": 1})
    conduct(run, stack, changed(run, blocks=1))
    assert stack.notes.count("stored") == 2
    assert all(record.fault is None for record in run.ended().values())


def test_caches_that_cannot_be_filled_are_tried_again_and_then_a_fault(run: RunFolder) -> None:
    stack = filled_with({"redis-timeout": 2})
    conduct(run, stack, changed(run, blocks=1))
    assert stack.notes.count("stored") == 2 * 4
    assert "load" not in stack.notes
    fault = run.ended()["b01-sidecar", 1].fault
    assert fault is not None
    assert (fault.stage, "2 × redis-timeout" in fault.reason) == ("filling", True)


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
    assert stack.notes == [f"up {first.variant}", "filled", "load", "down"]
    assert len(run.ended()) == 4


def test_an_invalid_trial_is_tried_again_kept_and_superseded(run: RunFolder) -> None:
    class LosesACallAtFirst(NotedDeployment):
        def upstream_counts(self) -> UpstreamFacts:
            return UpstreamFacts(calls=3 if self._notes.count("load") == 1 else 4, by_status={})

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
            deployment.upstream_counts = lambda: UpstreamFacts(calls=0, by_status={})  # type: ignore[method-assign]
            return deployment

    conduct(run, Stack(), changed(run, attempts=3, blocks=1))
    assert len(run.ended()) == 6


def test_nothing_is_tried_again_once_the_budget_is_spent(run: RunFolder) -> None:
    class Stack(NotedStack):
        def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
            deployment = super().deploy(variant, seed=seed, folder=folder)
            deployment.upstream_counts = lambda: UpstreamFacts(calls=0, by_status={})  # type: ignore[method-assign]
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
        nobody,
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
        nobody,
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
    conductor.conduct(run, SCENARIO, stack, nobody, start_load=stack.start_load, decide=decide)  # type: ignore[arg-type]
    assert (seen, end_of(run)) == ([False], "plan")


def end_of(run: RunFolder) -> str:
    return RunEnd.model_validate_json((run.path / "end.json").read_text()).why
