"""The run: blocks of trials, each deployed fresh, loaded once, counted, torn down and stored."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import reports
from bench.load.local import Load
from bench.run import awake
from bench.run.attempt import Attempt
from bench.run.listener import Listener
from bench.run.refusals import Refusals
from bench.store import RunFolder
from compose.host import interrupts
from compose.stack import Stack, StackError
from reports.stored.records import RunEnd, TrialRecord
from reports.trial.gate import Gate
from reports.trial.validity import gates
from scenarios import plan
from scenarios.model import Scenario
from scenarios.plan import Trial

if TYPE_CHECKING:
    from reports.inference.stopping import Decision


def conduct(
    run: RunFolder,
    scenario: Scenario,
    stack: Stack,
    listener: Listener,
    start_load: Callable[..., Load] = Load,
    decide: Callable[[Path], Decision] = reports.decide,
) -> None:
    """Try every variant of every block that is not stored yet, and store each trial as it ends.

    A trial of which counts or times cannot be believed is tried again, up to the schedule's `attempts`. After
    the planned blocks more are added while the schedule allows it and a comparison is undecided. Once the
    budget is spent nothing is tried again and no block is added. Where trial after trial is refused for the
    same reason (`bench.run.refusals`), nothing is tried again, and the run ends early.

    Raises:
        UserError: the workload or the disk is not usable.
        StackError: a variant cannot be deployed.
    """
    with awake.cores():
        run.go_on()
        conducted = _Conducted(run, scenario, stack, listener, start_load, run.ended(), time.monotonic())
        listener.begins([trial for block in plan.blocks(scenario) for trial in block], len(conducted.ended))
        number = 0
        while True:
            number += 1
            for trial in plan.block(scenario, number):
                conducted.try_until_valid(trial)
                if conducted.refusals.nothing_stands:
                    conducted.end_refused()
                    return
            planned = number >= scenario.schedule.blocks
            decision = decide(run.path) if planned else None
            if decision is not None and decision.stop:
                run.end(RunEnd(why="plan"))
                return
            if conducted.refusals.ends(number):
                conducted.end_refused()
                return
            if decision is None:
                continue
            if conducted.spent:
                run.end(RunEnd(why="budget"))
                listener.says(decide(run.path).reason)
                return
            listener.says(decision.reason)


@dataclass(frozen=True)
class _Conducted:
    """A run under way. `ended` has the trials that were stored before, `began_s` is monotonic."""

    run: RunFolder
    scenario: Scenario
    stack: Stack
    listener: Listener
    start_load: Callable[..., Load]
    ended: Mapping[tuple[str, int], TrialRecord]
    began_s: float
    refusals: Refusals = field(default_factory=Refusals)
    deployed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for record in self.ended.values():
            self._remember(record)

    @property
    def spent(self) -> bool:
        """Whether the time is used up that the schedule allows."""
        budget_s = self.scenario.schedule.budget
        return budget_s is not None and time.monotonic() - self.began_s > budget_s

    def try_until_valid(self, trial: Trial) -> None:
        """Try a trial until it is valid, as often as it may be; what is stored is not tried anew.

        What a fault ended in an earlier session does not count as a try.

        Raises:
            StackError: its variant could not be deployed at any of the attempts, nor ever before.
        """
        self.listener.trial_begins(trial)
        tries = 0
        for attempt in itertools.count(1):
            record = self.ended.get((trial.id, attempt))
            again = record is None
            if record is None:
                record = self._try(trial, attempt)
            tries += again or record.fault is None
            judged = _judge(self.run, record, self.scenario)
            if again:
                self.refusals.add(judged)
                self.listener.trial_ended(record, judged)
            if all(gate.passed for gate in judged) or self.spent or self.refusals.hopeless:
                break
            if tries >= self.scenario.schedule.attempts:
                self._end_if_never_deployed(record)
                break

    def _try(self, trial: Trial, attempt: int) -> TrialRecord:
        with interrupts.held():
            folder = self.run.begin_trial(trial.id, attempt)
            tried = Attempt(trial, attempt, self.scenario, self.stack, folder, self.listener, self.start_load)
            record = tried.record()
            self.run.end_trial(record)
        self._remember(record)
        return record

    def _remember(self, record: TrialRecord) -> None:
        if record.fault is None or record.fault.stage != "deploying":
            self.deployed.add(record.variant)

    def _end_if_never_deployed(self, last: TrialRecord) -> None:
        fault = last.fault
        if fault is None or fault.stage != "deploying" or last.variant in self.deployed:
            return
        [(part, words)] = list(fault.last_words.items())[:1] or [("", "")]
        raise StackError(f"{last.variant} cannot be deployed: {fault.reason}", part, words)

    def end_refused(self) -> None:
        """End the run, because trial after trial was refused, and say what to do."""
        reason = self.refusals.reason
        self.run.end(RunEnd(why="refused", reason=reason))
        self.listener.says(f"The run ends here: {reason}. {self.refusals.remedy(self.run.path)}")


def _judge(run: RunFolder, record: TrialRecord, scenario: Scenario) -> list[Gate]:
    from reports.stored.runs import StoredTrial  # pandas: read once there is something to judge

    rows = StoredTrial(record, run.trial_folder(record.id, record.attempt)).rows()
    return gates(record, rows, scenario.variant(record.variant))
