"""What a second worker adds: the highest rate that is sent on time, by one process and by two on two cores.

The instant server needs CPU time of its own. On two cores it shares the first of them with a worker, so
that two workers cannot send twice as much there; the table says what they do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from generators import ROOT, WARMUP_S, Server, cores, instant_server, on_core, quiet_moment

from loadtests.order import Order
from scenarios.model import Workload

RATES = (4000, 6000, 8000, 10_000, 12_000, 15_000, 20_000)
TRIAL_S = 3.0
ATTEMPTS = int(os.environ.get("BENCHMARK_BLOCKS", "3"))
LAG_P99_MS = 1.0
CPU_RATIO = 0.9

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(cores()[0] == cores()[1], reason="two workers need a core each"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with instant_server() as running:
        yield running


@dataclass(frozen=True)
class Sent:
    """One trial: how much was sent, how late (ms), and how busy the busiest process was."""

    requests: int
    lag_p50: float
    lag_p99: float
    cpu_ratio: float
    skew_ms: float = 0.0

    @property
    def on_time(self) -> bool:
        """Whether the rate was kept as well as a trial has to keep it."""
        return self.lag_p99 <= LAG_P99_MS and self.cpu_ratio <= CPU_RATIO


def sent(server: Server, rate: int, workers: int, folder: Path) -> Sent:
    """Send this rate; with one worker by the usual single process."""
    order = Order(
        targets=(server.url,), workload=Workload(rate=rate), seed=1, warmup_s=WARMUP_S,
        duration_s=TRIAL_S, timeout_s=30, rows=folder / "rows.parquet",
    )  # fmt: skip
    path = folder / "order.json"
    path.write_text(order.model_dump_json(), encoding="utf-8")
    events = _one(path) if workers == 1 else _several(path, workers)
    rows = pd.read_parquet(order.rows)
    load = events[-1]["load"]
    assert len(rows) == load["offered"]
    rows = rows[rows["intended_us"] >= WARMUP_S * 1e6]
    lag = (rows["sent_us"] - rows["intended_us"]) / 1000
    skew_ms = float(load.get("start_skew_ms", 0.0))
    return Sent(len(rows), float(lag.quantile(0.5)), float(lag.quantile(0.99)), load["cpu_ratio"], skew_ms)


def _one(order: Path) -> list[dict[str, Any]]:
    command = on_core(cores()[1], [sys.executable, "-m", "loadtests", str(order)])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _several(order: Path, workers: int) -> list[dict[str, Any]]:
    """Run master and workers, a core for each worker as far as they go."""
    own = sorted(os.sched_getaffinity(0))
    arguments = ["loadtests.master", str(order), "--workers", str(workers)]
    started = []
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as master:
        try:
            assert master.stdout is not None
            address = f"127.0.0.1:{json.loads(master.stdout.readline())['port']}"
            for number in range(workers):
                command = [sys.executable, "-m", "loadtests.worker", "--master", address]
                core = own[-1 - number % len(own)]
                started.append(subprocess.Popen(on_core(core, command), cwd=ROOT, stdout=subprocess.DEVNULL))
            said, _ = master.communicate(timeout=120)
        finally:
            master.kill()
            for worker in started:
                worker.terminate()
                worker.wait(20)
    assert master.returncode == 0
    return [json.loads(line) for line in said.splitlines()]


def test_two_workers_send_more_on_time_than_one_process(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        "| workers | requests/s | sent | lag p50 ms | lag p99 | busiest process | start skew ≤ ms |",
        "|---|---|---|---|---|---|---|",
    ]
    capacity = {}
    for workers in (1, 2):
        capacity[workers] = 0
        for rate in RATES:
            best = _best(server, rate, workers, tmp_path)
            lines.append(
                f"| {workers} | {rate} | {best.requests} | {best.lag_p50:.3f} | {best.lag_p99:.3f} "
                f"| {best.cpu_ratio:.0%} | {best.skew_ms:.2f} |"
            )
            if not best.on_time:
                break
            capacity[workers] = rate
    with capsys.disabled():
        print("", *lines, f"highest rate on time: {capacity}", sep="\n")
    assert capacity[2] > capacity[1]


def _best(server: Server, rate: int, workers: int, folder: Path) -> Sent:
    """Return the calmest of some trials: neighbours only ever take away."""
    tried: list[Sent] = []
    for _ in range(ATTEMPTS):
        quiet_moment(server, within_s=20)
        tried.append(sent(server, rate, workers, folder))
        if tried[-1].on_time:
            break
    return min(tried, key=lambda trial: trial.lag_p99)
