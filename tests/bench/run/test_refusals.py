"""When trial after trial is refused for the same reason: what is repeated, and when the run ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from noted import (
    SCENARIO,
    NotedDeployment,
    NotedLoad,
    NotedStack,
    QuietWatch,
    changed,
    new_run,
)

import reports.inference.effects
from bench.events.model import Event
from bench.run import attempt, conductor, refusals
from bench.run.refusals import IN_A_ROW, Refusals
from bench.store import RunFolder
from reports.stored.records import RunEnd
from reports.trial.gate import Gate
from scenarios import plan
from scenarios.facts import LoadFacts, UpstreamFacts
from scenarios.model import Scenario, Variant

COUNTS_FALL, TIMES_FALL, ALL_STANDS = "counts", "times", ""


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "Watch", QuietWatch)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


class Stack(NotedStack):
    """Attempt by attempt, lets a trial's counts disagree or its generator run out of CPU time."""

    def __init__(self, falls: Callable[[int], str]) -> None:
        super().__init__()
        self._falls = falls

    @property
    def now(self) -> str:
        return self._falls(self.notes.count("load"))

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
        deployment = super().deploy(variant, seed=seed, folder=folder)
        calls = lambda: UpstreamFacts(calls=3 if self.now == COUNTS_FALL else 4, by_status={})  # noqa: E731
        deployment.upstream_counts = calls  # type: ignore[method-assign]
        return deployment

    def start_load(self, **_: Any) -> NotedLoad:
        stack = self

        class Busy(NotedLoad):
            def facts(self) -> LoadFacts:
                ratio = 1.0 if stack.now == TIMES_FALL else 0.1
                return super().facts().model_copy(update={"cpu_ratio": ratio})

        return Busy(self.notes)


def conduct(
    run: RunFolder, scenario: Scenario, falls: Callable[[int], str]
) -> tuple[list[tuple[int, int]], list[str]]:
    """Return block and attempt of each attempt in order, and what the run said."""
    stack, heard = Stack(falls), list[Event]()
    conductor.conduct(run, scenario, stack, heard.append, start_load=stack.start_load)  # type: ignore[arg-type]
    records = sorted(run.ended().values(), key=lambda record: (record.block, record.started, record.attempt))
    return [(record.block, record.attempt) for record in records], [
        event.sentence for event in heard if event.type == "says"
    ]


def end(run: RunFolder) -> RunEnd:
    return RunEnd.model_validate_json((run.path / "end.json").read_text())


def test_a_run_of_which_nothing_stands_ends_at_once_and_says_what_to_do(run: RunFolder) -> None:
    tried, said = conduct(run, changed(run, attempts=2, blocks=10), lambda _: COUNTS_FALL)
    assert len(tried) == IN_A_ROW
    assert tried[-2:] == [(2, 1), (2, 2)], "three trials, each tried twice"
    assert end(run).why == "refused"
    assert "the app counted 4 upstream calls, the upstream 3" in end(run).reason
    assert len([line for line in said if "the upstream 3" in line]) == 1
    assert "logs/" in said[-1]
    assert f"sidecar-bench run --resume {run.path}" in said[-1]


def test_where_latencies_fall_alone_nothing_is_repeated_and_counts_get_their_blocks(run: RunFolder) -> None:
    scenario = changed(run, attempts=2, blocks=10)
    tried, said = conduct(run, scenario, lambda _: TIMES_FALL)
    blocks = [block for block, _ in tried]
    assert (blocks.count(1), blocks.count(2), blocks.count(3), max(blocks)) == (4, 3, 2, 3)
    assert end(run).why == "refused"
    assert "lower workload.rate" in said[-1].lower()
    summary = reports.summarize(run.path)
    assert summary.stopping.stop
    assert summary.stopping.reason.startswith(end(run).reason)
    hits = next(found for found in summary.comparisons if found.metric == "hit_ratio")
    assert (hits.blocks, hits.decision) == (3, "equivalent")
    assert hits.decision_ci == hits.ci95, "what ended the run did not depend on what it had found"
    assert reports.exit_code(summary) == 0


def test_a_run_that_recovers_goes_on_as_planned(run: RunFolder) -> None:
    scenario = changed(run, attempts=2, blocks=4)
    tried, _ = conduct(run, scenario, lambda load: TIMES_FALL if load <= IN_A_ROW else ALL_STANDS)
    assert len(tried) == IN_A_ROW + 1 + 2 * 2
    assert end(run).why == "plan"


def test_trials_that_are_refused_now_and_then_are_repeated_as_ever(run: RunFolder) -> None:
    scenario = changed(run, attempts=2, blocks=4)
    tried, _ = conduct(run, scenario, lambda load: TIMES_FALL if load % 2 else ALL_STANDS)
    assert len(tried) == 2 * 2 * 4
    assert end(run).why == "plan"


def test_the_last_planned_block_ends_a_run_as_its_plan_has_it(run: RunFolder) -> None:
    conduct(run, changed(run, attempts=2, blocks=3), lambda _: TIMES_FALL)
    assert end(run).why == "plan"


def test_what_was_refused_before_a_run_was_resumed_counts_no_more(run: RunFolder) -> None:
    scenario = changed(run, attempts=1, blocks=10)
    conduct(run, scenario, lambda _: COUNTS_FALL)
    assert len(run.ended()) == IN_A_ROW
    tried, _ = conduct(run, scenario, lambda _: ALL_STANDS)
    assert len(tried) == 20
    assert end(run).why == "plan"


def test_a_run_that_ended_within_its_first_block_still_has_a_report(run: RunFolder) -> None:
    conduct(run, changed(run, attempts=10, blocks=5), lambda _: COUNTS_FALL)
    assert {record.variant for record in run.ended().values()} == {plan.block(SCENARIO, 1)[0].variant}
    assert reports.exit_code(reports.write(run.path)) == 3


def gates(*failed: tuple[str, Sequence[str]]) -> list[Gate]:
    return [Gate(name, "", "", passed=False, reason=name, kinds=tuple(kinds)) for name, kinds in failed]  # type: ignore[arg-type]


def test_only_a_reason_that_all_share_counts() -> None:
    refused = Refusals()
    for number in range(IN_A_ROW):
        refused.add(gates((f"gate {number}", ["times"])))
    assert not refused.hopeless
    for _ in range(IN_A_ROW):
        refused.add(gates(("another", ["times"]), ("shared", ["counts", "times"])))
    assert refused.hopeless
    assert refused.nothing_stands
    refused.add([])
    assert not refused.hopeless
    assert refusals.LEAST_BLOCKS == reports.inference.effects.LEAST_BLOCKS
