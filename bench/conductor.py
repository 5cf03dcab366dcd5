"""The run: blocks of trials, each deployed fresh, loaded once, counted, torn down and stored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from compose.stack import Deployment, Stack
from loadtests.order import Order
from reports.validity import Gate, gates

from bench.load import Load
from bench.machine import Moment
from bench.store import RunFolder
from reports.records import AppFacts, LinkFacts, TrialRecord, UpstreamFacts, UsageFacts
from scenarios import plan
from scenarios.model import Scenario, Variant
from scenarios.plan import Trial


class Listener(Protocol):
    """Who is told how the run goes."""

    def begins(self, trials: Sequence[Trial], ended: int) -> None:
        """The run begins, or goes on, with `ended` of its trials stored already."""

    def trial_begins(self, trial: Trial, number: int) -> None:
        """The trial of this number, counted from 1, begins."""

    def stage(self, stage: str) -> None:
        """The trial under way enters a stage: `deploying`, `loading`, `counting` or `removing`."""

    def progress(self, event: dict[str, Any]) -> None:
        """The load generator reports."""

    def trial_ended(self, record: TrialRecord, judged: Sequence[Gate]) -> None:
        """A trial is stored."""


def conduct(run: RunFolder, scenario: Scenario, stack: Stack, listener: Listener) -> None:
    """Try every variant of every block that is not stored yet, and store each trial as it ends.

    Raises:
        UserError: the workload or the disk is not usable.
        StackError: a variant cannot be deployed.
        LoadError: the load generator broke.
    """
    trials = [trial for block in plan.blocks(scenario) for trial in block]
    ended = run.ended()
    listener.begins(trials, len(ended))
    for number, trial in enumerate(trials, start=1):
        if trial.id in ended:
            continue
        listener.trial_begins(trial, number)
        record = _try(trial, scenario, stack, run.begin_trial(trial.id), listener)
        run.end_trial(record)
        listener.trial_ended(record, gates(record))


def _try(trial: Trial, scenario: Scenario, stack: Stack, folder: Path, listener: Listener) -> TrialRecord:
    variant = scenario.variant(trial.variant)
    started, began = datetime.now(UTC), time.monotonic()
    listener.stage("deploying")
    deployment = stack.deploy(variant, seed=trial.seed, folder=folder / "logs")
    with deployment:
        up_s = time.monotonic() - began
        facts = _load(trial, variant, scenario, stack, deployment, folder, listener)
        listener.stage("removing")
        began = time.monotonic()
        deployment.down()
        down_s = time.monotonic() - began
    return TrialRecord(
        id=trial.id,
        variant=variant.id,
        block=trial.block,
        seed=trial.seed,
        started=started.isoformat(timespec="seconds"),
        up_s=up_s,
        down_s=down_s,
        notes=list(deployment.notes),
        **facts,
    )


def _load(
    trial: Trial,
    variant: Variant,
    scenario: Scenario,
    stack: Stack,
    deployment: Deployment,
    folder: Path,
    listener: Listener,
) -> dict[str, Any]:
    order = Order(
        targets=deployment.targets,
        workload=variant.workload,
        seed=trial.seed,
        warmup_s=scenario.schedule.warmup,
        duration_s=scenario.schedule.duration,
        timeout_s=scenario.schedule.timeout,
        rows=folder / "requests.parquet",
    )
    listener.stage("loading")
    before = Moment.now()
    with Load(order, run_id=stack.run_id, cpus=stack.load_cpus, folder=folder) as load:
        for event in load.events():
            if event["event"] == "started":
                before = Moment.now()
            listener.progress(event)
        machine = before.until(Moment.now())
    listener.stage("counting")
    usage = [UsageFacts(**asdict(used)) for used in deployment.usage()]
    link = deployment.link
    after = deployment.measure_link() if link is not None else None
    return {
        "load": load.facts,
        "app": AppFacts(**asdict(deployment.app_counts())),
        "upstream": UpstreamFacts(**asdict(deployment.upstream_counts())),
        "machine": machine,
        "usage": usage,
        "link": link and after and LinkFacts(**{**asdict(link), "after_ms": after.achieved_ms}),
    }
