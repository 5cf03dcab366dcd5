"""`sidecar-bench selftest`: can this bench be believed here? Six questions with known answers."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

import reports
from bench import awake, conductor, machine, progress
from bench.load import Load
from bench.store import RunFolder, new_run_id
from compose import launch, stacks
from compose.children import listening
from loadtests.order import Order
from reports.records import LoadFacts, RunRecord, StackChoice
from reports.summary import Comparison, Summary
from scenarios import document
from scenarios.model import Workload

# The chance of any false alarm over all metrics of the A/A comparison, shared out by Bonferroni.
_FAMILY: Final = 0.05
_STALL_S: Final = 2.0
_STALL_RATE: Final = 500.0


@dataclass(frozen=True)
class Answer:
    """What came of one question."""

    question: str
    figure: str
    expected: str
    passed: bool


@dataclass(frozen=True)
class Bench:
    """Where and how long the questions are put; within the budget invalid trials are repeated."""

    console: Console
    root: Path
    blocks: int
    budget_s: float

    def compare(self, name: str, overrides: Mapping[str, object]) -> Summary:
        """Run a small comparison on the embedded stack and return what it found."""
        fields = {
            "name": f"selftest-{name}",
            "schedule.blocks": self.blocks,
            "schedule.most_blocks": self.blocks,
            "schedule.warmup": 0.5,
            "schedule.duration": 3,
            "schedule.attempts": 3,
            "schedule.budget": self.budget_s,
            "workload.rate": 150,
        }
        scenario = document.load("quick", fields | dict(overrides))
        now = datetime.now(UTC)
        record = RunRecord(
            run_id=new_run_id(self.root, scenario.name, now),
            scenario=scenario,
            command=["sidecar-bench", "selftest"],
            started=now.isoformat(timespec="seconds"),
            stack=StackChoice(name="processes", reason="the self-test uses local processes"),
            environment=machine.environment(),
        )
        folder = RunFolder.create(self.root, record)
        with (
            stacks.open_stack("processes", record.run_id) as stack,
            progress.listener(self.console) as listener,
        ):
            conductor.conduct(folder, scenario, stack, listener)
        return reports.write(folder.path)


def selftest(console: Console, root: Path, *, full: bool) -> bool:
    """Put all questions, print a table of the answers, and return whether all are as expected."""
    # The quick form's six questions take four and a half minutes, on a machine where trials are repeated.
    bench = Bench(console, root, blocks=12 if full else 4, budget_s=600 if full else 50)
    answers = []
    for question in _QUESTIONS:
        with awake.cores():
            answers.append(question(bench))
        console.print(
            f"{'passed' if answers[-1].passed else 'FAILED'}: {answers[-1].question}", highlight=False
        )
    table = Table(box=None, pad_edge=False)
    for heading in ("", "question", "measured", "expected"):
        table.add_column(heading, overflow="fold")
    for answer in answers:
        mark = "[green]passed[/]" if answer.passed else "[red]failed[/]"
        table.add_row(mark, answer.question, answer.figure, answer.expected)
    console.print(table)
    return all(answer.passed for answer in answers)


def _found(summary: Summary, metric: str) -> Comparison | None:
    return next((one for one in summary.comparisons if one.metric == metric and one.ci95), None)


def _nothing(question: str) -> Answer:
    return Answer(question, "too few valid trials", "a comparison", passed=False)


def _same_is_same(bench: Bench) -> Answer:
    """A/A: one topology under two names."""
    question = "A/A: is the same topology under two names found equal?"
    summary = bench.compare("aa", {"topology": "separate", "label": ["a", "b"]})
    compared = [one for one in summary.comparisons if one.ci95 is not None and one.blocks > 1]
    if not compared:
        return _nothing(question)
    different = [one.metric for one in compared if _differs(one, len(compared))]
    named = f": {', '.join(different)}" if different else ""
    figure = f"{len(different)} of {len(compared)} metrics differ{named}"
    return Answer(question, figure, "none, at 5% over all metrics together", not different)


def _differs(one: Comparison, family: int) -> bool:
    """Tell whether a difference is too large for chance, with so many metrics looked at."""
    from scipy import stats

    assert one.ci95 is not None
    assert one.difference is not None
    half = (one.ci95[1] - one.ci95[0]) / 2
    freedom = one.blocks - 1
    wider = stats.t.ppf(1 - _FAMILY / family / 2, freedom) / stats.t.ppf(0.975, freedom)
    return bool(abs(one.difference) > half * wider)


def _delay_is_found(bench: Bench) -> Answer:
    """A hit costs one command, and so one round trip."""
    question = "Is 0.5 ms more on the link found in the latency of hits?"
    summary = bench.compare("delay", {"topology": "separate", "link.rtt_ms": [0.3, 0.8]})
    one = _found(summary, "hit_p50_ms")
    rtt_ms = [variant.rtt_achieved_ms for variant in summary.variants]
    if one is None or one.ci95 is None or one.difference is None or None in rtt_ms:
        return _nothing(question)
    achieved_ms = (rtt_ms[1] or 0.0) - (rtt_ms[0] or 0.0)
    low, high = one.ci95
    figure = f"{one.difference:+.2f} ms [{low:+.2f}, {high:+.2f}]"
    return Answer(
        question,
        figure,
        f"above zero, and {achieved_ms:+.2f} ms (as achieved) within",
        low > 0 and low <= achieved_ms <= high,
    )


def _ttl_is_found(bench: Bench) -> Answer:
    """Theory says by how much the hit ratio falls when the TTL is halved."""
    question = "Is half the TTL found in the hit ratio?"
    summary = bench.compare("ttl", {"topology": "separate", "cache.ttl": [4, 2]})
    one = _found(summary, "hit_ratio")
    theory = [variant.theory.hit_ratio for variant in summary.variants if variant.theory]
    if one is None or one.ci95 is None or one.difference is None or len(theory) != 2:
        return _nothing(question)
    expected = theory[1] - theory[0]
    figure = f"{one.difference:+.1%} [{one.ci95[0]:+.1%}, {one.ci95[1]:+.1%}]"
    return Answer(
        question,
        figure,
        f"below zero, and {expected:+.1%} ± 2 points",
        one.ci95[1] < 0 and abs(one.difference - expected) < 0.02,
    )


def _one_replica_is_one_cache(bench: Bench) -> Answer:
    """With one replica a sidecar is a shared cache."""
    question = "With one replica, do both topologies hit alike?"
    summary = bench.compare("one", {"topology": ["sidecar", "separate"], "replicas": 1})
    one = _found(summary, "hit_ratio")
    if one is None or one.difference is None:
        return _nothing(question)
    return Answer(question, f"{one.difference:+.2%}", "0 ± 1 point", abs(one.difference) <= 0.01)


def _stall_is_seen(bench: Bench) -> Answer:
    """A generator that waited for answers would send nothing during a stall, and see one slow request."""
    question = (
        f"Is an upstream's stall of {_STALL_S:g} s seen at its full length at {_STALL_RATE:g} requests/s?"
    )
    scenario = document.load("quick", {"topology": "none", "replicas": 1, "upstream.latency_ms": 2})
    (variant,) = scenario.variants
    workload = Workload(rate=_STALL_RATE, users=1500)
    folder = bench.root / "selftest-stall"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    stalled_s = [0.0]
    with (
        stacks.open_stack("processes", "selftest-stall") as stack,
        Load(run_id=stack.run_id, cpus=stack.load_cpus, folder=folder) as load,
        stack.deploy(variant, seed=1, folder=folder / "logs") as deployment,
    ):

        def stall() -> None:
            deployment.set_upstream(stalled=True)
            began = time.monotonic()
            time.sleep(_STALL_S)
            deployment.set_upstream(stalled=False)
            stalled_s[0] = time.monotonic() - began

        timer = threading.Timer(1.5, stall)
        _send(load, deployment.targets, workload, folder, on_start=timer.start)
        timer.join()
    latency_ms = sorted(_latencies_ms(folder))
    beyond = len(latency_ms) // 1000
    measured = (latency_ms[-1], latency_ms[-1 - beyond])
    # Requests come every 1/rate: the k-th longest wait is k such gaps shorter than the stall.
    true = (stalled_s[0] * 1000, (stalled_s[0] - beyond / _STALL_RATE) * 1000)
    passed = all(abs(one - other) <= 0.05 * other for one, other in zip(measured, true, strict=True))
    figure = f"max {measured[0]:,.0f} ms, p99.9 {measured[1]:,.0f} ms"
    return Answer(question, figure, f"{true[0]:,.0f} and {true[1]:,.0f} ms, ± 5%", passed)


def _floor_is_low(bench: Bench) -> Answer:
    """Whatever is measured here is the generator's own."""
    question = "What does the generator add, at 500 requests/s against a server that answers at once?"
    folder = bench.root / "selftest-floor"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    listener, port = listening()
    with stacks.open_stack("processes", "selftest-floor") as stack, listener:
        command = [sys.executable, "-m", "loadtests.instant", "--fd", str(listener.fileno())]
        server = subprocess.Popen(
            launch.command(command), pass_fds=[listener.fileno()], env=launch.environment(stack.run_id)
        )
        try:
            with Load(run_id=stack.run_id, cpus=stack.load_cpus, folder=folder) as load:
                _send(load, (f"http://127.0.0.1:{port}",), Workload(rate=500), folder)
        finally:
            server.kill()
            server.wait()
    rows = _rows(folder)
    lag_ms = (rows["sent_us"] - rows["intended_us"]) / 1000
    service_ms = (rows["end_us"] - rows["sent_us"]) / 1000
    median, tail = lag_ms.quantile(0.5), lag_ms.quantile(0.99)
    figure = f"send lag {median:.2f} ms (p99 {tail:.2f}), service time {service_ms.median():.2f} ms"
    return Answer(question, figure, "send lag at most 0.2 ms, p99 1 ms", median <= 0.2 and tail <= 1.0)


def _send(
    load: Load,
    targets: tuple[str, ...],
    workload: Workload,
    folder: Path,
    on_start: Callable[[], object] = lambda: None,
) -> LoadFacts:
    order = Order(
        targets=targets, workload=workload, seed=1, warmup_s=0.5, duration_s=6, timeout_s=10,
        rows=folder / "requests.parquet",
    )  # fmt: skip
    for event in load.events(order):
        if event["event"] == "started":
            on_start()
    return load.facts()


def _rows(folder: Path) -> Any:
    import pandas as pd

    rows = pd.read_parquet(folder / "requests.parquet")
    return rows[rows["intended_us"] >= 500_000]


def _latencies_ms(folder: Path) -> list[float]:
    rows = _rows(folder)
    latencies: list[float] = ((rows["end_us"] - rows["intended_us"]) / 1000).tolist()
    return latencies


_QUESTIONS: Final[tuple[Callable[[Bench], Answer], ...]] = (
    _floor_is_low,
    _stall_is_seen,
    _same_is_same,
    _delay_is_found,
    _ttl_is_found,
    _one_replica_is_one_cache,
)
