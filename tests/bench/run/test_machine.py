"""What the machine's own counters say of the time between two moments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.run import machine
from bench.run.machine import Moment, Watch
from scenarios.facts import MachineFacts


def test_the_kernels_pressure_is_read_in_seconds(tmp_path: Path) -> None:
    told = tmp_path / "cpu"
    told.write_text("some avg10=0.00 avg60=0.23 avg300=1.05 total=94590499\nfull avg10=0.00 total=0\n")
    assert machine.pressure_s(told) == pytest.approx(94.590499)


def test_a_kernel_that_does_not_tell_is_believed(tmp_path: Path) -> None:
    assert machine.pressure_s(tmp_path / "none") is None


@pytest.mark.skipif(machine.pressure_s() is None, reason="this kernel has no /proc/pressure/cpu")
def test_processes_that_share_a_core_wait_for_it() -> None:
    count = (
        "import os, time\nos.sched_setaffinity(0, {0})\nend = time.time() + 1\nwhile time.time() < end: pass"
    )
    before = Moment.now()
    busy = [subprocess.Popen([sys.executable, "-c", count]) for _ in range(3)]
    for process in busy:
        process.wait()
    waited = before.until(Moment.now()).waiting_ratio
    assert waited is not None
    assert waited > 0.2


def cgroup(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize("version", [1, 2])
def test_a_limit_on_a_cgroup_above_the_benchs_own_is_seen(tmp_path: Path, version: int) -> None:
    root, stat = tmp_path / "cgroup", "throttled_time 3000000000\n"
    line = "4:memory:/gone\n3:cpu,cpuacct:/a/b\n"
    if version == 2:
        stat, line = "usage_usec 9\nthrottled_usec 3000000\n", "0::/cpu,cpuacct/a/b\n"
        cgroup(root, "", cgroup__controllers="cpu memory\n")
    cgroup(root, "cpu,cpuacct/a/b", cpu__stat=stat.replace("3", "0"))
    cgroup(root, "cpu,cpuacct/a", cpu__stat=stat)
    cgroup(tmp_path / "proc", str(os.getpid()), cgroup=line)
    assert machine.throttled_s(root, tmp_path / "proc") == pytest.approx(3.0)


def test_a_kernel_that_counts_no_throttling_is_believed(tmp_path: Path) -> None:
    cgroup(tmp_path / "cgroup", "", cgroup__controllers="cpu\n", cpu__stat="usage_usec 9\n")
    cgroup(tmp_path / "proc", str(os.getpid()), cgroup="0::/\n")
    assert machine.throttled_s(tmp_path / "cgroup", tmp_path / "proc") is None
    assert machine.throttled_s(tmp_path / "cgroup", tmp_path) is None


def at(seconds: float, waiting_s: float = 0.0, clock_s: float = 1000.0) -> Moment:
    """A moment of a machine with two CPUs."""
    return Moment(seconds, seconds + clock_s, seconds, 0.0, 2 * seconds, waiting_s, 0.0)


def watched(warmup_s: float, seen: list[tuple[dict[str, object], Moment]], end: Moment) -> MachineFacts:
    moments = iter([at(0), *(moment for event, moment in seen if event["event"] != "finished"), end])
    watch = Watch(warmup_s, now=lambda: next(moments))
    for event, _ in seen:
        watch.see(event)
    return watch.facts()


def progress(t_s: float) -> dict[str, object]:
    return {"event": "progress", "t_s": t_s}


STARTED: dict[str, object] = {"event": "started"}
FINISHED: dict[str, object] = {"event": "finished"}


def test_what_happens_in_the_warm_up_or_while_rows_are_stored_is_none_of_the_trials() -> None:
    seen = [
        (STARTED, at(1, waiting_s=1)),
        (progress(0.5), at(1.5, waiting_s=1.4)),
        (progress(1.0), at(2, waiting_s=1.9)),
        (progress(1.5), at(2.5, waiting_s=1.9)),
        (progress(2.0), at(3, waiting_s=2.1)),
        (FINISHED, at(4)),
    ]
    assert watched(1.0, seen, at(5, waiting_s=4)).waiting_ratio == pytest.approx(0.2)


def test_a_load_too_short_to_report_of_is_seen_from_its_start_to_its_end() -> None:
    seen = [(STARTED, at(1, waiting_s=1)), (FINISHED, at(1.2))]
    assert watched(0.0, seen, at(1.5, waiting_s=1.25)).waiting_ratio == pytest.approx(0.5)


def test_a_clock_that_is_moved_there_and_back_is_seen() -> None:
    seen = [(STARTED, at(1)), (progress(0.5), at(2, clock_s=998.0)), (progress(1), at(3)), (FINISHED, at(3))]
    assert watched(0.0, seen, at(4)).clock_step_s == pytest.approx(-2.0)


def test_a_clock_that_is_moved_before_the_load_ends_is_seen() -> None:
    seen = [(STARTED, at(1)), (progress(0.5), at(2)), (FINISHED, at(3))]
    assert watched(0.0, seen, at(4, clock_s=1003.0)).clock_step_s == pytest.approx(3.0)
