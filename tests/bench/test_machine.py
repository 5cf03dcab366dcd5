"""What the machine's own counters say of the time between two moments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench import machine
from bench.machine import Moment


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
