"""Plans other than blocks: what is tried next follows from what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from noted import SCENARIO, NotedLoad, NotedStack, QuietWatch, new_run, nobody

from bench.events.model import Event
from bench.run import attempt, conductor
from bench.run.plans import Found
from bench.store import RunFolder
from reports.stored.records import RunEnd
from scenarios import plan
from scenarios.facts import LoadFacts
from scenarios.plan import Trial

BEARS = 700.0  # requests/s; above it the generator has no CPU time to spare


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "Watch", QuietWatch)


class Stack(NotedStack):
    """Bears so many requests a second; beyond that, its generator is out of CPU time."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[float] = []

    def start_load(self, **_: Any) -> NotedLoad:
        stack = self

        class Load(NotedLoad):
            def facts(self) -> LoadFacts:
                rate = self.order.workload.rate
                stack.rates.append(rate)
                return super().facts().model_copy(update={"cpu_ratio": 1.0 if rate > BEARS else 0.1})

        return Load(self.notes)


class Capacity:
    """Halves the distance between a rate that was borne and one that was not, until it is small."""

    def __init__(self, low: float, high: float, within: float) -> None:
        self.low, self.high, self._within = low, high, within

    def planned(self) -> Sequence[Trial]:
        return ()

    def next(self, found: Found) -> Trial | RunEnd:
        if found.attempts:
            rate = found.last.trial.settings.workload.rate
            if found.last.valid:  # all that was asked for was sent, and in time
                self.low = rate
            else:
                self.high = rate
        if self.high - self.low <= self._within:
            return RunEnd(why="plan", reason=f"{self.low:g} requests/s")
        return self._at((self.low + self.high) / 2)

    def _at(self, rate: float) -> Trial:
        first = SCENARIO.variants[0]
        workload = first.workload.model_copy(update={"rate": rate})
        settings = first.model_copy(update={"id": f"{first.id}-{rate:g}", "workload": workload})
        return plan.trial(SCENARIO, settings, 1, seed=1)


def conduct(run: RunFolder) -> tuple[Stack, Capacity, list[Event]]:
    stack, search, heard = Stack(), Capacity(100, 1600, within=50), list[Event]()
    conductor.conduct(
        run, SCENARIO, stack, heard.append, start_load=stack.start_load, plan=search,  # type: ignore[arg-type]
    )  # fmt: skip
    return stack, search, heard


def test_a_search_for_capacity_changes_the_rate_from_trial_to_trial(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    stack, search, heard = conduct(run)
    assert stack.rates == [850.0, 475.0, 662.5, 756.25, 709.375]
    assert search.low <= BEARS <= search.high
    assert [event.rate for event in heard if event.type == "trial"] == stack.rates
    stored = run.ended().values()
    settings = [record.settings for record in stored if record.settings]
    assert sorted(each.workload.rate for each in settings) == sorted(stack.rates)
    assert RunEnd.model_validate_json((run.path / "end.json").read_text()).reason == "662.5 requests/s"


def test_a_search_that_is_resumed_finds_its_way_by_what_is_stored(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    conduct(run)
    (run.trial_folder("b01-sidecar-709.375") / "trial.json").unlink()
    stack, search, _ = conduct(run)
    assert stack.rates == [709.375]
    assert (search.low, search.high) == (662.5, 709.375)


def test_trials_of_the_scenarios_own_variants_do_not_repeat_their_settings(tmp_path: Path) -> None:
    run, stack = new_run(tmp_path), NotedStack()
    conductor.conduct(run, SCENARIO, stack, nobody, start_load=stack.start_load)  # type: ignore[arg-type]
    assert {record.settings for record in run.ended().values()} == {None}
