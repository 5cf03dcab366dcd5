"""The run: trial after trial, as its plan says; each deployed fresh, loaded, counted, removed, stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import reports
from bench.events.model import (
    Begins,
    Ended,
    FailedGate,
    Judged,
    Listener,
    Looked,
    Says,
    TrialBegins,
)
from bench.load.local import Load
from bench.run import awake
from bench.run.attempt import Attempt
from bench.run.plans import Attempted, Blocks, Found, Plan
from bench.store import RunFolder
from compose.host import interrupts
from compose.stack import Stack
from reports.stored.records import RunEnd, RunRecord, TrialRecord
from reports.trial.validity import gates, stands
from scenarios.model import Scenario
from scenarios.plan import Trial

if TYPE_CHECKING:
    from reports.inference.stopping import Decision


def begins(record: RunRecord, plan: Plan, stored: int) -> Begins:
    """Return the event with which a session of a run begins."""
    return Begins(
        run_id=record.run_id,
        scenario=record.scenario.name,
        stack=record.stack.name,
        reason=record.stack.reason,
        trials=tuple(trial.id for trial in plan.planned()),
        stored=stored,
    )


def conduct(
    run: RunFolder,
    scenario: Scenario,
    stack: Stack,
    listener: Listener,
    start_load: Callable[..., Load] = Load,
    decide: Callable[[Path], Decision] = reports.decide,
    plan: Plan | None = None,
) -> None:
    """Try what the plan asks for and is not stored yet, and store each trial as it ends.

    Without a plan, it is that of the scenario's blocks.

    Raises:
        UserError: the workload or the disk is not usable.
        StackError: a variant cannot be deployed.
    """
    plan = plan or Blocks(scenario)
    with awake.cores():
        run.go_on()
        conducted = _Conducted(run, scenario, stack, listener, start_load, decide, run.ended())
        found = Found(conducted.decide, scenario.schedule.budget)
        for record in conducted.ended.values():
            found.remember(record)
        while isinstance(step := plan.next(found), Trial):
            conducted.say_why_it_goes_on()
            found.add(conducted.attempted(step))
        conducted.end(step, found)


@dataclass
class _Conducted:
    """A run under way. `ended` has the trials that were stored before, `decided` what is not said yet."""

    run: RunFolder
    scenario: Scenario
    stack: Stack
    listener: Listener
    start_load: Callable[..., Load]
    decision: Callable[[Path], Decision]
    ended: Mapping[tuple[str, int], TrialRecord]
    decided: Decision | None = None

    def attempted(self, trial: Trial) -> Attempted:
        """Try a trial, or find it stored; tell of it, and how it was judged."""
        record = self.ended.get((trial.id, trial.attempt))
        if trial.attempt == 1:
            self.listener(_begins(trial, stored=record is not None))
        fresh = record is None
        if record is None:
            record = self._try(trial)
        attempted = self._judge(trial, record, fresh=fresh)
        if fresh:
            self.listener(_judged(attempted))
        return attempted

    def decide(self) -> Decision:
        """Compare the variants by what is stored, and tell what came of it where a look is planned."""
        self.decided = decision = self.decision(self.run.path)
        if decision.looked:
            self.listener(
                Looked(
                    blocks=decision.blocks,
                    stop=decision.stop,
                    reason=decision.reason,
                    undecided=decision.undecided,
                )
            )
        return decision

    def say_why_it_goes_on(self) -> None:
        """Say it, once for each decision to go on."""
        if self.decided is not None:
            self.listener(Says(sentence=self.decided.reason))
        self.decided = None

    def end(self, end: RunEnd, found: Found) -> None:
        """Store what has ended the run, and tell it."""
        self.run.end(end)
        reason = end.reason
        if end.why == "budget":
            reason = self.decision(self.run.path).reason
            self.listener(Says(sentence=reason))
        if end.why == "refused":
            remedy = found.refusals.remedy(self.run.path)
            self.listener(Says(sentence=f"The run ends here: {reason}. {remedy}"))
        self.listener(Ended(why=end.why, reason=reason))

    def _try(self, trial: Trial) -> TrialRecord:
        with interrupts.held():
            folder = self.run.begin_trial(trial.id, trial.attempt)
            known = trial.settings in self.scenario.variants
            attempt = Attempt(trial, self.stack, folder, self.listener, self.start_load, known)
            record = attempt.record()
            self.run.end_trial(record)
        return record

    def _judge(self, trial: Trial, record: TrialRecord, *, fresh: bool) -> Attempted:
        from reports.stored.runs import StoredTrial  # pandas: read once there is something to judge

        folder = self.run.trial_folder(record.id, record.attempt)
        rows = StoredTrial(record, folder).rows()
        return Attempted(trial, record, tuple(gates(record, rows, trial.settings)), folder, fresh)


def _begins(trial: Trial, *, stored: bool) -> TrialBegins:
    workload = trial.settings.workload
    return TrialBegins(
        trial=trial.id,
        variant=trial.variant,
        block=trial.block,
        seed=trial.seed,
        rate=workload.rate if workload.arrivals != "log" else None,
        stored=stored,
    )


def _judged(attempted: Attempted) -> Judged:
    record, judged = attempted.record, attempted.judged
    return Judged(
        trial=record.id,
        variant=record.variant,
        block=record.block,
        attempt=record.attempt,
        requests=record.load.requests,
        outcomes=record.load.outcomes,
        outcomes_known=record.load.outcomes_known,
        upstream_calls=record.upstream.calls if record.upstream.known else None,
        counts_valid=stands(judged, "counts"),
        times_valid=stands(judged, "times"),
        failed=tuple(FailedGate(name=gate.name, reason=gate.reason) for gate in judged if not gate.passed),
    )
