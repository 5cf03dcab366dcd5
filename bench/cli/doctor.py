"""`sidecar-bench doctor`: what this machine can run, what is missing, and how to add it."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.run import awake, machine
from compose import stacks
from compose.host import redis_binary
from compose.stack import StackError
from loadtests.sending import limits

# As many as a scenario's users can be, with some to spare.
_ENOUGH_FILES: Final = 6000
_MARKS: Final = {"good": ("ok", "green"), "poor": ("poor", "yellow"), "missing": ("missing", "red")}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    found: str
    state: Literal["good", "poor", "missing"]
    remedy: str = ""


def examine(console: Console) -> None:
    """Look at everything that a run needs, and print a table of it."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings():
        table.add_row(Text(*_MARKS[finding.state]), finding.subject, finding.found, finding.remedy)
    console.print(table)


def findings() -> Iterator[Finding]:
    """Look at one thing after the other."""
    for look in _LOOKS:
        yield look()


def _cores() -> Finding:
    cores = psutil.cpu_count() or 1
    if cores >= 2:
        return Finding("cores", f"{cores}; the load generator uses one of them alone", "good")
    return Finding(
        "cores",
        "1",
        "poor",
        "the load generator and the app share it: rely on counts and ratios, not on latencies",
    )


def _redis() -> Finding:
    try:
        found = redis_binary.find()
    except StackError as error:
        return Finding("redis-server", "none", "missing", str(error))
    return Finding("redis-server", str(found), "good")


def _docker() -> Finding:
    chosen, reason = stacks.choose("auto")
    if chosen == "docker":
        return Finding("docker", reason, "good")
    remedy = "runs use local processes; to use containers, start a Docker engine (docs/stacks.md)"
    return Finding("docker", reason, "poor", remedy)


def _netem() -> Finding:
    loaded = Path("/sys/module/sch_netem").exists()
    modules = Path(f"/lib/modules/{machine.kernel_release()}")
    if loaded or any(modules.glob("**/sch_netem.ko*")):
        return Finding("tc netem", "in the kernel", "good")
    return Finding(
        "tc netem", "not in this kernel", "poor", "nothing to do: the calibrated relay adds the delay"
    )


def _clock() -> Finding:
    source = machine.clock_source()
    if source in ("tsc", "kvm-clock", "arch_sys_counter"):
        return Finding("clock", source, "good")
    return Finding(
        "clock", source, "poor", "reading this clock may be slow; use a machine with tsc if possible"
    )


def _awake() -> Finding:
    if awake.possible():
        return Finding("idle cores", "kept awake during a run", "good")
    return Finding(
        "idle cores",
        "go to sleep: no permission to open /dev/cpu_dma_latency",
        "poor",
        "run as root, especially on a virtual machine, where waking a core can take milliseconds",
    )


def _timer() -> Finding:
    with awake.cores():  # as in a run
        return _timer_ends()


def _timer_ends() -> Finding:
    late_us = []
    for _ in range(50):
        due = time.perf_counter_ns() + 1_000_000
        time.sleep(0.001)
        late_us.append((time.perf_counter_ns() - due) / 1000)
    median = statistics.median(late_us)
    found = f"a sleep of 1 ms ends {median:.0f} µs late in the median, {max(late_us):.0f} µs at most (50 "
    "samples)"
    if median < 300:
        return Finding("timer", found, "good")
    return Finding("timer", found, "poor", "send lag will be high: stop other processes")


def _neighbours() -> Finding:
    before = machine.Moment.now()
    time.sleep(1)
    facts = before.until(machine.Moment.now())
    found = f"{facts.busy_ratio:.0%} of the CPUs in use, {facts.stolen_ratio:.1%} stolen, in one second"
    if facts.busy_ratio > 0.2 or facts.stolen_ratio > 0.02:
        return Finding(
            "neighbours", found, "poor", "stop other processes; on a shared host, expect wider intervals"
        )
    return Finding("neighbours", found, "good")


def _memory() -> Finding:
    free_gb = psutil.virtual_memory().available / 1e9
    if free_gb > 1:
        return Finding("memory", f"{free_gb:.1f} GB free", "good")
    return Finding("memory", f"{free_gb:.1f} GB free", "poor", "keep 1 GB free, or lower cache.maxmemory")


def _open_files() -> Finding:
    files = limits.raise_open_files()
    if files.now >= _ENOUGH_FILES:
        return Finding("open files", files.said, "good")
    return Finding(
        "open files",
        f"{files.said}; each request in flight uses one",
        "poor",
        f"`ulimit -n {_ENOUGH_FILES}` before a run with many workload.users",
    )


def _ports() -> Finding:
    ports = limits.ports()
    if ports is None or ports >= _ENOUGH_FILES:
        return Finding("local ports", "unknown" if ports is None else f"{ports:,}", "good")
    return Finding(
        "local ports",
        f"{ports:,}; each request in flight uses one",
        "poor",
        "widen net.ipv4.ip_local_port_range (sysctl)",
    )


def _disk() -> Finding:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    if free_gb > 1:
        return Finding("disk", f"{free_gb:.0f} GB free here", "good")
    return Finding(
        "disk",
        f"{free_gb:.1f} GB free here",
        "poor",
        "free some space, or choose another folder with --results",
    )


_LOOKS: Final[tuple[Callable[[], Finding], ...]] = (
    _cores, _redis, _docker, _netem, _clock, _awake, _timer, _neighbours, _memory, _open_files,
    _ports, _disk,
)  # fmt: skip
