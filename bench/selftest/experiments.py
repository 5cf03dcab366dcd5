"""Where the self-test has its figures from: comparisons, a stalled upstream, a server without delay."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from rich.console import Console

import reports
from bench.load.local import Load
from bench.run import conductor, machine
from bench.run.plans import Blocks
from bench.session.request import telling
from bench.store import RunFolder, new_run_id
from bench.terminal import progress
from compose import stacks
from compose.host import launch, sealed
from compose.host.children import listening
from compose.stack import Deployment
from loadtests.order import Order
from reports.stored.records import RunRecord, StackChoice
from reports.summary.model import Summary
from scenarios.model import Scenario, Workload
from scenarios.reading import document

# What a trial of a comparison takes from its deployment to its removal, and the report at the end; each
# somewhat more than what it took on two shared virtual cores.
_TRIAL_S: Final = 6.5
_REPORT_S: Final = 4.0
_WARMUP_S: Final = 0.5
_BEFORE_STALL_S: Final = 1.5
_LOAD_S: Final = 6.0


@dataclass(frozen=True)
class Stalled:
    """A load whose upstream stalled: when each request was due, when the stall was, how long answers took.

    Times in seconds since the start of the schedule; `due_s` is the plan, laid out apart from the load.
    """

    due_s: tuple[float, ...]
    began_s: float
    ended_s: float
    seen_ms: tuple[float, ...]


@dataclass(frozen=True)
class Floor:
    """The generator's own share, against a server that answers at once, in ms."""

    lag_p50_ms: float
    lag_p99_ms: float
    service_p50_ms: float


class Experiments(Protocol):
    """What the self-test's questions are put to. `found` has what the comparisons so far have found."""

    found: list[Summary]

    def compare(self, name: str, changed: Mapping[str, object]) -> Summary:
        """Run a small comparison in which these fields of the scenario are changed."""

    def stall(self, rate: float, stall_s: float) -> Stalled:
        """Load an app without a cache at so many requests a second while its upstream stalls."""

    def floor(self, rate: float) -> Floor:
        """Load a server that answers at once."""


class Purse:
    """The time of a self-test, shared out to its comparisons.

    What the comparisons to come need at the least is set aside. What is left over may be spent by the next
    one on repeating invalid trials: as each repeat follows a first attempt, repeats that begin within so
    many seconds of the comparison's begin take no more than these seconds.
    """

    def __init__(
        self,
        total_s: float,
        blocks: int,
        comparisons: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.least_s = 2 * blocks * _TRIAL_S + _REPORT_S
        self._ends_s = clock() + total_s
        self._comparisons = comparisons
        self._clock = clock

    def next_budget_s(self) -> float:
        """Return the budget of the next comparison, in seconds from its begin."""
        over_s = self._ends_s - self._clock() - self._comparisons * self.least_s
        self._comparisons -= 1
        return max(over_s, 1.0)


def scenario(
    name: str, changed: Mapping[str, object], *, blocks: int, seed: int, budget_s: float
) -> Scenario:
    """Return the scenario of a comparison: `quick` with short trials, so many blocks and these changes."""
    fields = {
        "name": f"selftest-{name}",
        "seed": seed,
        "schedule.blocks": blocks,
        "schedule.most_blocks": blocks,
        "schedule.warmup": _WARMUP_S,
        "schedule.duration": 3,
        "schedule.attempts": 3,
        "schedule.budget": budget_s,
        "workload.rate": 150,
    }
    return document.load("quick", fields | dict(changed))


class EmbeddedExperiments:
    """Experiments on the embedded stack; what they leave is stored under `root`."""

    def __init__(self, console: Console, root: Path, *, blocks: int, purse: Purse) -> None:
        self.found: list[Summary] = []
        self._console = console
        self._root = root
        self._blocks = blocks
        self._purse = purse

    def compare(self, name: str, changed: Mapping[str, object]) -> Summary:
        """Run a comparison and return what it found.

        Each comparison has a seed, and so requests, of its own: what chance does to one it does to no other.
        """
        compared = scenario(
            name,
            changed,
            blocks=self._blocks,
            seed=len(self.found) + 1,
            budget_s=self._purse.next_budget_s(),
        )
        now = datetime.now(UTC)
        record = RunRecord(
            run_id=new_run_id(self._root, compared.name, now),
            scenario=compared,
            command=["sidecar-bench", "selftest"],
            started=now.isoformat(timespec="seconds"),
            stack=StackChoice(name="processes", reason="the self-test uses local processes"),
            environment=machine.environment(),
        )
        with (
            RunFolder.begun(self._root, record) as folder,
            stacks.open_stack("processes", record.run_id) as stack,
            progress.listener(self._console) as listener,
            telling(folder, listener) as tell,
        ):
            tell(conductor.begins(record, Blocks(compared), 0))
            conductor.conduct(folder, compared, stack, tell)
        self.found.append(reports.write(folder.path))
        return self.found[-1]

    def stall(self, rate: float, stall_s: float) -> Stalled:
        """Load an app without a cache while its upstream stalls."""
        from traffic.keys import requests

        quick = document.load("quick", {"topology": "none", "replicas": 1, "upstream.latency_ms": 2})
        (variant,) = quick.variants
        workload = Workload(rate=rate, users=1500)
        folder = self._folder(f"stall-{rate:g}")
        with (
            stacks.open_stack("processes", "selftest-stall") as stack,
            Load(run_id=stack.run_id, cpus=stack.load_cpus, folder=folder) as load,
            stack.deploy(variant, seed=1, folder=folder / "logs") as deployment,
            ThreadPoolExecutor(1) as beside,
        ):
            stalls: list[Future[tuple[float, float]]] = []
            order = _order(deployment.targets, workload, folder)
            for event in load.events(order):
                if event["event"] == "started":
                    origin_s = float(event["origin_s"])
                    stalls.append(beside.submit(_stalled, deployment, stall_s))
            began_s, ended_s = stalls[0].result()
        rows = _rows(folder)
        at_us = requests(workload, 1, order.warmup_s + order.duration_s, order.seed).at_us
        return Stalled(
            due_s=tuple((at_us / 1e6).tolist()),
            began_s=began_s - origin_s,
            ended_s=ended_s - origin_s,
            seen_ms=tuple(((rows["end_us"] - rows["intended_us"]) / 1000).tolist()),
        )

    def floor(self, rate: float) -> Floor:
        """Load a server that answers at once."""
        folder = self._folder("floor")
        with stacks.open_stack("processes", "selftest-floor") as stack, _instant(stack.run_id) as url:
            order = _order((url,), Workload(rate=rate), folder)
            with Load(run_id=stack.run_id, cpus=stack.load_cpus, folder=folder) as load:
                for _ in load.events(order):
                    pass
        rows = _rows(folder)
        rows = rows[rows["intended_us"] >= order.warmup_s * 1e6]
        lag_ms = (rows["sent_us"] - rows["intended_us"]) / 1000
        service_ms = (rows["end_us"] - rows["sent_us"]) / 1000
        return Floor(
            float(lag_ms.quantile(0.5)), float(lag_ms.quantile(0.99)), float(service_ms.quantile(0.5))
        )

    def _folder(self, name: str) -> Path:
        folder = self._root / f"selftest-{name}"
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        return folder


def _stalled(deployment: Deployment, stall_s: float) -> tuple[float, float]:
    """Stall the upstream for a while; return when it began and ended, by the clock of the load."""
    time.sleep(_BEFORE_STALL_S)
    began_s = _switched(deployment, stalled=True)
    time.sleep(stall_s)
    return began_s, _switched(deployment, stalled=False)


def _switched(deployment: Deployment, *, stalled: bool) -> float:
    before_s = time.perf_counter()
    deployment.set_upstream(stalled=stalled)
    return (before_s + time.perf_counter()) / 2


@contextmanager
def _instant(run_id: str) -> Iterator[str]:
    """Run the server that answers at once; yields its URL."""
    listener, port = listening()
    with listener:
        server = subprocess.Popen(
            launch.command(sealed.python("-m", "loadtests.instant", "--fd", str(listener.fileno()))),
            pass_fds=[listener.fileno()],
            env=sealed.environment(run_id),
            cwd=sealed.CWD,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


def _order(targets: tuple[str, ...], workload: Workload, folder: Path) -> Order:
    return Order(
        targets=targets, workload=workload, seed=1, warmup_s=_WARMUP_S, duration_s=_LOAD_S, timeout_s=10,
        rows=folder / "requests.parquet",
    )  # fmt: skip


def _rows(folder: Path) -> Any:
    import pandas as pd

    return pd.read_parquet(folder / "requests.parquet")
