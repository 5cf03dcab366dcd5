"""One attempt at a trial: deployed, filled, loaded, counted and removed, whatever goes wrong meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.events.model import Listener, Progress, Stage, StageName
from bench.load.local import Load
from bench.run import counting
from bench.run.faults import Course, nothing_counted, nothing_sent
from bench.run.machine import Watch
from bench.run.start import ColdStart, Planned, SteadyStart, planned, starting
from compose.actor import Actor
from compose.stack import Deployment, Stack
from loadtests.order import Order
from reports.stored.records import TrialRecord
from scenarios.model import Variant
from scenarios.plan import Trial
from scenarios.tried import as_tried
from traffic.logs.handing import FOLDER, with_stored_log

# Generators report twice a second, and never at quite the same distance.
_EVERY_S: Final = 0.9


@dataclass(frozen=True)
class Attempt:
    """One try of one trial."""

    trial: Trial
    stack: Stack
    folder: Path
    listener: Listener
    start_load: Callable[..., Load]
    of_scenario: bool = True  # its settings are those of the scenario's variant

    def record(self) -> TrialRecord:
        """Deploy, load, count, tear down: whatever fails, nothing of the deployment is left.

        Raises:
            UserError: the workload or the disk is not usable.
            UnsuitableError: the scenario has to change.
        """
        trial, run = self.trial, self.folder.parents[1]
        variant = with_stored_log(as_tried(trial.settings), run / FOLDER)
        started, watch = datetime.now(UTC), Watch(trial.warmup_s)
        course = Course(
            enters=self._enters,
            load=nothing_sent(trial),
            machine=watch.facts(),
            facts=nothing_counted(self.stack),
        )
        with course.noting_faults():
            self._run(variant, course)
        return TrialRecord(
            id=trial.id,
            variant=variant.id,
            block=trial.block,
            attempt=trial.attempt,
            seed=trial.seed,
            settings=None if self.of_scenario else trial.settings,
            started=started.isoformat(timespec="seconds"),
            up_s=course.up_s,
            down_s=course.down_s,
            load=course.load,
            machine=course.machine,
            notes=list(course.notes),
            fault=course.fault,
            **course.facts,
        )

    def _run(self, variant: Variant, course: Course) -> None:
        begins = self._planned(variant)
        course.facts |= {"start": begins.start}
        began = time.monotonic()
        course.enter("deploying")
        with (
            Actor() as actor,  # what it starts lives no longer than its thread: it ends after the deployment
            self.start_load(
                run_id=self.stack.run_id, cpus=self.stack.load_cpus, folder=self.folder
            ) as generator,
            self.stack.deploy(variant, seed=self.trial.seed, folder=self.folder / "logs") as deployment,
            starting(deployment, begins.held) as start,
        ):
            course.up_s = time.monotonic() - began
            course.enter("filling" if start.held else "loading")
            with course.noting_faults():
                self._load(variant, deployment, generator, start, course, actor)
            # Before it is counted: what stands still would only be missed when it does not answer.
            with course.noting_faults():
                course.note_lost(deployment.lost())
            course.enter("counting")
            course.facts |= counting.count(deployment, start.used, course) | {"filling": start.facts()}
            course.notes = (*deployment.notes, *begins.notes)
            course.facts["redis_server"] = deployment.redis_server
            course.enter("removing")
            began = time.monotonic()
            deployment.down()
            course.down_s = time.monotonic() - began

    def _planned(self, variant: Variant) -> Planned:
        if not self.stack.deploys:
            return Planned("unknown")
        return planned(variant, self.trial.start, self.trial.span_s, self.trial.seed)

    def _enters(self, stage: StageName) -> None:
        self.listener(Stage(trial=self.trial.id, attempt=self.trial.attempt, stage=stage))

    def _load(
        self,
        variant: Variant,
        deployment: Deployment,
        generator: Load,
        start: ColdStart | SteadyStart,
        course: Course,
        actor: Actor,
    ) -> None:
        trial = self.trial
        order = Order(
            targets=deployment.targets,
            workload=variant.workload,
            seed=trial.seed,
            warmup_s=trial.warmup_s,
            duration_s=trial.duration_s,
            timeout_s=trial.timeout_s,
            contract=deployment.contract,
            headers=dict(deployment.headers),
            rows=self.folder / "requests.parquet",
            held=start.held,
        )
        watch, told = Watch(trial.warmup_s), Bounded(self.listener, trial)
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
                    if trial.actions:
                        actor.begin(deployment.faults, trial.actions, event["origin_s"])
                watch.see(event)
                course.sees(event)
                told.see(event)
            course.load = generator.facts()
        finally:
            course.machine = watch.facts()
            course.facts["timeline"] = actor.finished()


class Bounded:
    """Tells how far a load is, about once a second however often its generator reports."""

    def __init__(self, listener: Listener, trial: Trial) -> None:
        self._listener = listener
        self._trial = trial
        self._next_s = 0.0

    def see(self, event: Mapping[str, Any]) -> None:
        """Tell it, unless it was told a moment ago."""
        if event["event"] != "progress" or event["t_s"] < self._next_s:
            return
        self._next_s = event["t_s"] + _EVERY_S
        self._listener(
            Progress(
                trial=self._trial.id,
                attempt=self._trial.attempt,
                t_s=event["t_s"],
                offered=event["offered"],
                done=event["done"],
                outcomes=event["outcomes"],
            )
        )
