"""Short commands: run to their end, within a time, with an interrupt heard meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Final

from compose.host import interrupts, sealed

_LOOK_S: Final = 0.1
_PATIENCE_S: Final = 10.0


def run(
    command: Sequence[str], *, env: Mapping[str, str], within_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours in a session of its own, so that the terminal's Ctrl-C reaches us alone.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it has not ended in time; it is gone.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=env,
        cwd=sealed.CWD,
        start_new_session=True,
    )
    with process:
        try:
            stdout, stderr = _communicate(process, within_s)
        finally:
            _end(process)
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def how_it_ended(code: int) -> str:
    """Say how a process ended, by its exit code as Python gives it."""
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed ({signal.Signals(-code).name})"
    return f"was killed by signal {-code}"


def _communicate(process: subprocess.Popen[str], within_s: float) -> tuple[str, str]:
    deadline = time.monotonic() + within_s
    while True:
        try:
            return process.communicate(timeout=_LOOK_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(process.args, within_s) from None
            interrupts.check()


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    # All of its session: a program that it has started would go on without it.
    for number in (signal.SIGTERM, signal.SIGCONT):  # one that is stopped could not hear the first
        os.killpg(process.pid, number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
