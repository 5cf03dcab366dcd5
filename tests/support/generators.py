"""Load generators side by side: ours and k6, each on one core, against one instant server on another."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from loadtests.order import Order
from scenarios.model import Workload

ROOT = Path(__file__).parents[2]
K6 = Path(sys.executable).with_name("k6")
WARMUP_S = 1.0
# A generator's figures at a rate count if so many of its trials were undisturbed.
LEAST = 3
ATTEMPTS = 6
_QUIET = 0.01
_FOREIGN = 0.04
_PATH = "repos/octo/catalogue/contents/docs/000001.md"

# constant-arrival-rate twice: what runs first warms connections and the compiler's caches, and is left out.
_SCRIPT = """
import http from 'k6/http';
const users = { preAllocatedVUs: 64, maxVUs: 512 };
const load = { executor: 'constant-arrival-rate', rate: %(rate)d, timeUnit: '1s', ...users };
export const options = {
  discardResponseBodies: true,
  summaryTrendStats: ['med', 'p(99)', 'p(99.9)', 'max', 'count'],
  thresholds: { 'http_req_duration{scenario:measured}': ['max>=0'], 'dropped_iterations': ['count>=0'] },
  scenarios: {
    warmup: { ...load, duration: '%(warmup)gs', gracefulStop: '0s' },
    measured: { ...load, duration: '%(duration)gs', startTime: '%(warmup)gs' },
  },
};
export default function () { http.get('%(url)s'); }
"""


@dataclass(frozen=True)
class Figures:
    """One trial of one generator. Times in ms; send lag only where the generator tells it."""

    requests: int
    service_p50: float
    service_p99: float
    cpu_s: float
    lag_p50: float = float("nan")
    lag_p99: float = float("nan")
    stolen: float = 0.0
    foreign: float = 0.0

    @property
    def disturbed(self) -> bool:
        """Whether the hypervisor or other processes took much of the machine meanwhile."""
        return self.stolen > _QUIET or self.foreign > _FOREIGN


class Trials:
    """The undisturbed trials of one generator at one rate. `settle` waits for a quiet moment."""

    def __init__(self, run: Callable[[], Figures], settle: Callable[[], object]) -> None:
        self._run = run
        self._settle = settle
        self.figures: list[Figures] = []
        self.disturbed = 0

    @property
    def short(self) -> bool:
        """Whether too few trials were undisturbed for their figures to count."""
        return len(self.figures) < LEAST

    def try_once(self) -> None:
        """Add a trial; one in a noisy moment is tried again."""
        for _ in range(ATTEMPTS):
            self._settle()
            figures = self._run()
            if not figures.disturbed:
                self.figures.append(figures)
                return
            self.disturbed += 1

    def median(self, name: str) -> float:
        """Return the median over trials of one of their figures."""
        count = len(self.figures)
        assert not self.short, (
            f"{count} of {count + self.disturbed} trials were left in peace, {LEAST} are needed; "
            "run this on a quiet machine"
        )
        return self._median(name)

    def _median(self, name: str) -> float:
        return median(getattr(figures, name) for figures in self.figures)

    def row(self, rate: int, generator: str) -> str:
        """Return a row of the table."""
        counted = f"{len(self.figures)} ({self.disturbed}){', TOO FEW' if self.short else ''}"
        names = ("service_p50", "service_p99", "lag_p50", "lag_p99")
        values = [self._median(name) if self.figures else math.nan for name in names]
        cells = " | ".join("" if math.isnan(value) else f"{value:.3f}" for value in values)
        return f"| {rate} | {generator} | {counted} | {cells} |"


def gather(
    rates: Sequence[Sequence[Trials]],
    *,
    rounds: int,
    most_rounds: int,
    order: random.Random,
    within_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Try all generators of all rates in so many rounds, each in random order.

    Rounds are added for the rates at which a generator is short of undisturbed trials: for all generators
    there, so that what is compared is of the same minutes. After `most_rounds`, or once the time is over,
    no round is begun.
    """
    ends_s = clock() + within_s
    for number in range(max(rounds, most_rounds)):
        chosen = [of for of in rates if number < rounds or any(trials.short for trials in of)]
        if not chosen or (number >= rounds and clock() >= ends_s):
            return
        tried = [trials for of in chosen for trials in of]
        for trials in order.sample(tried, len(tried)):
            trials.try_once()


@dataclass(frozen=True)
class Server:
    """The server that answers at once."""

    url: str
    pid: int


def cores() -> tuple[int, int]:
    """Return a core for the server and one for the generator."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def on_core(core: int, command: list[str]) -> list[str]:
    """Return the command confined to a core, and put before other processes there where that is allowed."""
    first = ["nice", "-n", "-20"] if os.geteuid() == 0 else []
    return [*first, "taskset", "-c", str(core), *command]


@contextlib.contextmanager
def instant_server() -> Iterator[Server]:
    """Run the server that answers at once on its own core."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        fd = listener.fileno()
        process = subprocess.Popen(
            on_core(cores()[0], [sys.executable, "-m", "loadtests.instant", "--fd", str(fd)]),
            pass_fds=[fd],
            cwd=ROOT,
        )
        try:
            yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", process.pid)
        finally:
            process.terminate()
            process.wait(10)


def quiet_moment(server: Server, within_s: float = 60.0) -> None:
    """Wait until nobody else uses the machine; after `within_s` go on all the same."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        watch = _Watch(server)
        time.sleep(0.5)
        if not watch.completed(Figures(0, 0.0, 0.0, 0.0)).disturbed:
            return


def ours(server: Server, workload: Workload, duration_s: float, folder: Path) -> tuple[Figures, pd.DataFrame]:
    """Run our generator; return its figures and its rows after the warm-up."""
    rows_path, order_path = folder / "rows.parquet", folder / "order.json"
    order = Order(
        targets=(server.url,), workload=workload, seed=1, warmup_s=WARMUP_S, duration_s=duration_s,
        timeout_s=30, rows=rows_path,
    )  # fmt: skip
    order_path.write_text(order.model_dump_json(), encoding="utf-8")
    watch = _Watch(server)
    _pinned([sys.executable, "-m", "loadtests", str(order_path)])
    rows = pd.read_parquet(rows_path)
    rows = rows[rows["intended_us"] >= WARMUP_S * 1e6]
    lag = (rows["sent_us"] - rows["intended_us"]) / 1000
    service = (rows["end_us"] - rows["sent_us"]) / 1000
    figures = Figures(
        requests=len(rows),
        service_p50=float(service.quantile(0.5)),
        service_p99=float(service.quantile(0.99)),
        lag_p50=float(lag.quantile(0.5)),
        lag_p99=float(lag.quantile(0.99)),
        cpu_s=0.0,
    )
    return watch.completed(figures), rows


def k6(server: Server, rate: float, duration_s: float, folder: Path) -> Figures:
    """Run k6 at a constant arrival rate; return what its own summary says."""
    script, summary = folder / "k6.js", folder / "k6.json"
    url = f"{server.url}/content/{_PATH}"
    script.write_text(_SCRIPT % {"rate": rate, "warmup": WARMUP_S, "duration": duration_s, "url": url})
    watch = _Watch(server)
    _pinned([str(K6), "run", "--quiet", "--no-usage-report", "--summary-export", str(summary), str(script)])
    metrics: dict[str, Any] = json.loads(summary.read_text())["metrics"]
    service = metrics["http_req_duration{scenario:measured}"]
    return watch.completed(
        Figures(
            requests=int(service["count"]),
            service_p50=service["med"],
            service_p99=service["p(99)"],
            cpu_s=0.0,
        )
    )


def _pinned(command: list[str]) -> None:
    done = subprocess.run(on_core(cores()[1], command), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


class _Watch:
    """The machine's CPU time during a trial: the generator's, the server's, everybody else's, the stolen."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = self._now()

    def completed(self, figures: Figures) -> Figures:
        now = self._now()
        total, busy, stolen, generator, server = (b - a for a, b in zip(self._before, now, strict=True))
        foreign = max(busy - generator - server, 0.0)
        return replace(figures, cpu_s=generator, stolen=stolen / total, foreign=foreign / total)

    def _now(self) -> tuple[float, ...]:
        """Return seconds: all CPU time, busy, stolen, of children that ended, of the server."""
        tick = os.sysconf("SC_CLK_TCK")
        ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        busy = sum(ticks[:3]) + sum(ticks[5:7])
        process = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        children = os.times()
        return (
            sum(ticks) / tick,
            busy / tick,
            ticks[7] / tick,
            children.children_user + children.children_system,
            (int(process[11]) + int(process[12])) / tick,
        )
