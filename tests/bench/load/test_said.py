"""Lines of a process that is watched: all of them, and an end for one that stands still."""

import signal
import subprocess
import sys
import time

import pytest

from bench.load.said import Said, SilenceError


def process(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def end(started: subprocess.Popen[str]) -> None:
    started.kill()
    started.wait()
    if started.stdout:
        started.stdout.close()


def test_all_lines_come_whole_and_in_order() -> None:
    started = process("import sys\nfor n in range(20000): print(n, 'ü' * (n % 50))\nsys.stdout.write('half')")
    try:
        lines = list(Said(started))
        assert lines == [f"{n} {'ü' * (n % 50)}" for n in range(20000)]
    finally:
        end(started)


def test_one_that_is_stopped_is_given_up_in_bounded_time() -> None:
    started = process("import time\nprint('up', flush=True)\nwhile True: time.sleep(0.001)")
    try:
        said = Said(started, silent_s=0.5)
        assert said.line() == "up"
        started.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(SilenceError, match=r"no CPU time for 0\.5 s: it was stopped, or it hangs"):
            said.line()
        assert time.monotonic() - began < 5
    finally:
        end(started)


def test_one_that_works_in_silence_is_waited_for() -> None:
    started = process("import time\nend = time.time() + 1.5\nwhile time.time() < end: pass\nprint('done')")
    try:
        assert Said(started, silent_s=0.5).line() == "done"
    finally:
        end(started)
