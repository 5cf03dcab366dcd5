"""Plans: which trial is next, given what the run has found so far."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.run.refusals import Refusals
from compose.stack import StackError
from reports.stored.records import RunEnd, TrialRecord
from reports.trial.gate import Gate
from scenarios import plan
from scenarios.model import Scenario
from scenarios.plan import Trial

if TYPE_CHECKING:
    from reports.inference.stopping import Decision


@dataclass(frozen=True)
class Attempted:
    """A trial that is stored, and how it was judged. `fresh`: it was tried in this session.

    `folder` is where its rows and logs are.
    """

    trial: Trial
    record: TrialRecord
    judged: tuple[Gate, ...]
    folder: Path
    fresh: bool = True

    @property
    def valid(self) -> bool:
        """Whether it passed every gate."""
        return all(gate.passed for gate in self.judged)


@dataclass
class Found:
    """What a run has found so far.

    `decide` compares the variants by all that is stored; each call of it is a look. `began_s`: monotonic.
    """

    decide: Callable[[], Decision]
    budget_s: float | None = None
    began_s: float = field(default_factory=time.monotonic)
    attempts: list[Attempted] = field(default_factory=list)
    refusals: Refusals = field(default_factory=Refusals)
    deployed: set[str] = field(default_factory=set)

    @property
    def last(self) -> Attempted:
        """The attempt at the trial that the plan was asked for last."""
        return self.attempts[-1]

    @property
    def spent(self) -> bool:
        """Whether the time is used up that the schedule allows."""
        return self.budget_s is not None and time.monotonic() - self.began_s > self.budget_s

    def add(self, attempted: Attempted) -> None:
        """Take note of an attempt, and of whether its variant could be deployed."""
        self.attempts.append(attempted)
        self.remember(attempted.record)
        if attempted.fresh:
            self.refusals.add(attempted.judged)

    def remember(self, record: TrialRecord) -> None:
        """Take note of whether a variant could be deployed."""
        if record.fault is None or record.fault.stage != "deploying":
            self.deployed.add(record.variant)


class Plan(Protocol):
    """Decides what is tried next."""

    def planned(self) -> Sequence[Trial]:
        """Return the trials that are known beforehand, in order; others may follow, or come instead."""

    def next(self, found: Found) -> Trial | RunEnd:
        """Return the trial to try next, or why there is none.

        A trial that is stored already, by its id and attempt, is not tried again: the plan is asked for the
        one after it, with what is stored.

        Raises:
            StackError: no trial of a variant could be deployed.
        """


class Blocks:
    """Blocks in which every variant is tried once, in random order: as many as the schedule says.

    A trial of which counts or times cannot be believed is tried again, up to the schedule's `attempts`. After
    the planned blocks more are added while the schedule allows it and a comparison is undecided. Once the
    budget is spent nothing is tried again and no block is added. Where trial after trial is refused for the
    same reason (`bench.run.refusals`), nothing is tried again, and the run ends early.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._found: Found
        self._steps = self._in_order()

    def planned(self) -> list[Trial]:
        """Return the trials of all planned blocks."""
        return [trial for block in plan.blocks(self._scenario) for trial in block]

    def next(self, found: Found) -> Trial | RunEnd:
        """Return the trial to try next, or why there is none."""
        self._found = found
        return next(self._steps)

    def _in_order(self) -> Iterator[Trial | RunEnd]:
        for number in itertools.count(1):
            for trial in plan.block(self._scenario, number):
                yield from self._until_valid(trial)
                if self._found.refusals.nothing_stands:
                    yield self._refused()
                    return
            end = self._end_after(number)
            if end is not None:
                yield end
                return

    def _end_after(self, number: int) -> RunEnd | None:
        found = self._found
        decision = found.decide() if number >= self._scenario.schedule.blocks else None
        if decision is not None and decision.stop:
            return RunEnd(why="plan")
        if found.refusals.ends(number):
            return self._refused()
        if decision is not None and found.spent:
            return RunEnd(why="budget")
        return None

    def _until_valid(self, trial: Trial) -> Iterator[Trial]:
        """Yield a trial until it is valid, as often as it may be tried.

        What a fault ended in an earlier session does not count as a try.
        """
        tries = 0
        for attempt in itertools.count(1):
            yield trial.again(attempt)
            last = self._found.last
            tries += last.fresh or last.record.fault is None
            if last.valid or self._found.spent or self._found.refusals.hopeless:
                return
            if tries >= self._scenario.schedule.attempts:
                self._refuse_if_never_deployed(last.record)
                return

    def _refuse_if_never_deployed(self, last: TrialRecord) -> None:
        fault = last.fault
        if fault is None or fault.stage != "deploying" or last.variant in self._found.deployed:
            return
        [(part, words)] = list(fault.last_words.items())[:1] or [("", "")]
        raise StackError(f"{last.variant} cannot be deployed: {fault.reason}", part, words)

    def _refused(self) -> RunEnd:
        return RunEnd(why="refused", reason=self._found.refusals.reason)
