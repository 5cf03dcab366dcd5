"""A child cannot outlive its parent, and stays on the CPUs that it is given."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from compose.host import launch

PARENT = textwrap.dedent(
    """
    import subprocess, sys, time
    from compose.host import launch, sealed
    child = subprocess.Popen(
        launch.command([sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"]),
        env=sealed.environment(sys.argv[1]), start_new_session=True,
    )
    time.sleep(60)
    """
)


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(
    run_id: str, signal_number: signal.Signals, marked: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, run_id], stdout=subprocess.PIPE)
    assert parent.stdout
    with parent.stdout:
        assert parent.stdout.readline() == b"up\n"
        assert len(marked(run_id)) == 1
        parent.send_signal(signal_number)
        parent.wait()
    wait_until(lambda: not marked(run_id))


def test_it_is_not_started_for_a_parent_that_is_gone_already() -> None:
    command = launch.command(["echo", "started"])
    command[command.index("--parent") + 1] = "1"
    ended = subprocess.run(command, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_it_stays_on_its_cpus() -> None:
    cpu = max(os.sched_getaffinity(0))
    said = subprocess.check_output(
        launch.command([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"], cpus=[cpu])
    )
    assert said == f"{{{cpu}}}\n".encode()


def test_it_is_the_child_itself_not_a_wrapper(wait_until: Callable[..., None]) -> None:
    child = subprocess.Popen(launch.command(["sleep", "60"]))
    try:
        wait_until(lambda: psutil.Process(child.pid).name() == "sleep")
        assert psutil.Process(child.pid).children() == []
    finally:
        child.kill()
        child.wait()
