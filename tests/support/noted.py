"""A stack and a load that only take notes, for tests of the run loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.events.model import Event
from bench.store import RunFolder
from compose.stack import Deployment, Filling, Held
from loadtests.order import Order
from reports.stored.records import RunRecord, StackChoice
from scenarios.facts import (
    AppFacts,
    FillingFacts,
    LinkFacts,
    LoadFacts,
    MachineFacts,
    UpstreamFacts,
    UsageFacts,
)
from scenarios.model import Scenario, Variant
from scenarios.reading import document

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


class NotedDeployment(Deployment):
    targets = ("http://127.0.0.1:1", "http://127.0.0.1:2")
    notes = ("a note",)
    link = LinkFacts(means="loopback", achieved_ms=0.03, achieved_p99_ms=0.05, samples=10)

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._up = True

    def app_counts(self) -> AppFacts:
        return AppFacts(outcomes={"hit": 6, "miss": 4}, upstream_calls=4)

    def upstream_counts(self) -> UpstreamFacts:
        return UpstreamFacts(calls=4, by_status={"200": 4})

    def set_upstream(self, **settings: object) -> None:
        self._notes.append(f"upstream {settings}")

    def measure_link(self) -> LinkFacts:
        return LinkFacts(means="loopback", achieved_ms=0.04, achieved_p99_ms=0.05, samples=10)

    def fill(self, held: Sequence[Held]) -> NotedFilling:
        return NotedFilling(self._notes, held)

    def usage(self) -> Sequence[UsageFacts]:
        self._cpu_s = getattr(self, "_cpu_s", 0.0) + 1.5
        return [UsageFacts(name="app-1", cpu_s=self._cpu_s, memory_bytes=1000)]

    def down(self) -> None:
        if self._up:
            self._notes.append("down")
        self._up = False


class NotedFilling(Filling):
    def __init__(self, notes: list[str], held: Sequence[Held]) -> None:
        self._notes = notes
        self.held = held

    def __enter__(self) -> NotedFilling:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def fetched(self) -> None:
        """Everything is here."""

    def close(self) -> None:
        self._notes.append("filled")

    def store(self, begin_s: float) -> FillingFacts:
        return FillingFacts(wanted=len(self.held), filled=len(self.held), failed={}, calls=3)


class NotedStack:
    run_id = "a-run"
    load_cpus = (1,)
    deploys = True

    def __init__(self) -> None:
        self.notes: list[str] = []

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
        assert folder.is_dir()
        self.notes.append(f"up {variant.id}")
        return NotedDeployment(self.notes)

    def start_load(self, **_: Any) -> NotedLoad:
        return NotedLoad(self.notes)


class NotedLoad:
    lead_s = 0.01

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def __enter__(self) -> NotedLoad:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def events(self, order: Order) -> Iterator[dict[str, Any]]:
        self.order = order
        if order.held:
            self.begin_ns = 0
            yield {"event": "ready"}
            assert self.begin_ns > time.perf_counter_ns()
        self.notes.append("load")
        pq.write_table(ROWS, order.rows)
        yield {"event": "started", "origin_s": getattr(self, "begin_ns", 0) / 1e9}

    def begin(self, at_ns: int) -> None:
        self.begin_ns = at_ns

    def facts(self) -> LoadFacts:
        return LoadFacts(
            offered=10, requests=10, outcomes={"hit": 6, "miss": 4}, warmup_s=self.order.warmup_s,
            duration_s=self.order.duration_s, most_users=2, cpu_ratio=0.1,
        )  # fmt: skip


def nobody(event: Event) -> None:
    """Hears the events of a run, and does nothing."""


def new_run(root: Path) -> RunFolder:
    """Make the folder of a run of the scenario."""
    record = RunRecord(
        run_id="a-run", scenario=SCENARIO, command=[], started="2026-01-31T15:45:00+00:00",
        stack=StackChoice(name="processes", reason="a test"), environment={},
    )  # fmt: skip
    return RunFolder.create(root, record)


def changed(run: RunFolder, **schedule: object) -> Scenario:
    """The scenario with another schedule, stored as the run's own."""
    scenario = SCENARIO.model_copy(update={"schedule": SCENARIO.schedule.model_copy(update=schedule)})
    record = run.record().model_copy(update={"scenario": scenario})
    (run.path / "run.json").write_text(record.model_dump_json())
    return scenario


class QuietWatch:
    """A machine on which nothing else happens, whatever runs beside the tests."""

    def __init__(self, warmup_s: float) -> None:
        """Nothing is looked at."""

    def see(self, event: Mapping[str, Any]) -> None:
        """Nor here."""

    def facts(self) -> MachineFacts:
        return MachineFacts(stolen_ratio=0, busy_ratio=0.1, load_average=0.1, clock_step_s=0)
