"""The run: blocks of trials, each deployed fresh, loaded once, counted, torn down and stored."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import reports
from bench import awake, counting
from bench.faults import Course, nothing_counted, nothing_sent
from bench.load import Load
from bench.machine import Watch
from bench.refusals import Refusals
from bench.start import ColdStart, SteadyStart, starting, steady_contents
from bench.store import RunFolder
from compose import interrupts
from compose.stack import Deployment, Held, Stack, StackError
from loadtests.order import Order
from reports.gate import Gate
from reports.records import (
    RunEnd,
    TrialRecord,
)
from reports.validity import gates
from scenarios import plan
from scenarios.model import Scenario, Variant
from scenarios.plan import Trial
from scenarios.tried import as_tried
from traffic.logs.handing import FOLDER, with_stored_log

if TYPE_CHECKING:
    from reports.stopping import Decision


class Listener(Protocol):
    """Who is told how the run goes."""

    def begins(self, trials: Sequence[Trial], ended: int) -> None:
        """The run begins, or goes on with `ended` trials stored already; more may be added."""

    def trial_begins(self, trial: Trial) -> None:
        """A trial is next: to be tried, or stored already."""

    def stage(self, stage: str) -> None:
        """The trial under way enters a stage: `deploying`, `filling`, `loading`, `counting`, `removing`."""

    def progress(self, event: dict[str, Any]) -> None:
        """The load generator reports."""

    def trial_ended(self, record: TrialRecord, judged: Sequence[Gate]) -> None:
        """A trial was tried and is stored."""

    def says(self, sentence: str) -> None:
        """The run as a whole has something to say: why it goes on, or ends."""


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
    same reason (`bench.refusals`), nothing is tried again, and the run ends early.

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
            tried = _Attempt(
                trial, attempt, self.scenario, self.stack, folder, self.listener, self.start_load
            )
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
    from reports.stored import StoredTrial  # pandas: read once there is something to judge

    rows = StoredTrial(record, run.trial_folder(record.id, record.attempt)).rows()
    return gates(record, rows, scenario.variant(record.variant))


@dataclass(frozen=True)
class _Attempt:
    """One try of one trial."""

    trial: Trial
    attempt: int
    scenario: Scenario
    stack: Stack
    folder: Path
    listener: Listener
    start_load: Callable[..., Load]

    def record(self) -> TrialRecord:
        """Deploy, load, count, tear down: whatever fails, nothing of the deployment is left.

        Raises:
            UserError: the workload or the disk is not usable.
            UnsuitableError: the scenario has to change.
        """
        trial, run = self.trial, self.folder.parents[1]
        variant = with_stored_log(as_tried(self.scenario.variant(trial.variant)), run / FOLDER)
        started, watch = datetime.now(UTC), Watch(self.scenario.schedule.warmup)
        course = Course(
            enters=self.listener.stage,
            load=nothing_sent(self.scenario.schedule),
            machine=watch.facts(),
            facts=nothing_counted(self.stack),
        )
        with course.noting_faults():
            self._run(variant, course)
        return TrialRecord(
            id=trial.id,
            variant=variant.id,
            block=trial.block,
            attempt=self.attempt,
            seed=trial.seed,
            started=started.isoformat(timespec="seconds"),
            start=self.scenario.schedule.start if self.stack.deploys else "unknown",
            up_s=course.up_s,
            down_s=course.down_s,
            load=course.load,
            machine=course.machine,
            notes=list(course.notes),
            fault=course.fault,
            **course.facts,
        )

    def _run(self, variant: Variant, course: Course) -> None:
        held = self._held(variant)
        began = time.monotonic()
        course.enter("deploying")
        with (
            self.start_load(
                run_id=self.stack.run_id, cpus=self.stack.load_cpus, folder=self.folder
            ) as generator,
            self.stack.deploy(variant, seed=self.trial.seed, folder=self.folder / "logs") as deployment,
            starting(deployment, held) as start,
        ):
            course.up_s = time.monotonic() - began
            course.enter("filling" if start.held else "loading")
            with course.noting_faults():
                self._load(variant, deployment, generator, start, course)
            # Before it is counted: what stands still would only be missed when it does not answer.
            with course.noting_faults():
                course.note_lost(deployment.lost())
            course.enter("counting")
            course.facts = counting.count(deployment, start.used, course) | {"filling": start.facts()}
            course.notes = deployment.notes
            course.facts["redis_server"] = deployment.redis_server
            course.enter("removing")
            began = time.monotonic()
            deployment.down()
            course.down_s = time.monotonic() - began

    def _held(self, variant: Variant) -> list[Held]:
        """Return what the caches are to hold at the start."""
        schedule = self.scenario.schedule
        if schedule.start == "cold" or variant.topology == "none" or not self.stack.deploys:
            return []
        return steady_contents(variant, schedule.warmup + schedule.duration, self.trial.seed)

    def _load(
        self,
        variant: Variant,
        deployment: Deployment,
        generator: Load,
        start: ColdStart | SteadyStart,
        course: Course,
    ) -> None:
        schedule = self.scenario.schedule
        order = Order(
            targets=deployment.targets,
            workload=variant.workload,
            seed=self.trial.seed,
            warmup_s=schedule.warmup,
            duration_s=schedule.duration,
            timeout_s=schedule.timeout,
            contract=deployment.contract,
            headers=dict(deployment.headers),
            rows=self.folder / "requests.parquet",
            held=start.held,
        )
        watch = Watch(schedule.warmup)
        try:
            for event in generator.events(order):
                if event["event"] == "ready":
                    start.begin(generator)
                    course.enter("loading")
                    continue
                if event["event"] == "started":
                    start.started(event["origin_s"])
                    if variant.workload.log is not None:
                        deployment.begins(event["origin_s"])
                watch.see(event)
                course.sees(event)
                self.listener.progress(event)
            course.load = generator.facts()
        finally:
            course.machine = watch.facts()
