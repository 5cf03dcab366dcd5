"""What a process says on a pipe, line by line: with interrupts heard, and silence noticed, meanwhile."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Final

import psutil

from compose.host import interrupts

SILENT_S: Final = 20.0
_LOOK_S: Final = 0.1
_CHUNK: Final = 65536


class SilenceError(Exception):
    """A process says nothing and does nothing."""


class Said:
    """Yields the lines of a process's standard output, which nobody else reads, until it closes it.

    Raises:
        SilenceError: for so many seconds it has said nothing and used no CPU time: it was stopped, or hangs.
    """

    def __init__(
        self,
        process: subprocess.Popen[str],
        silent_s: float = SILENT_S,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """`look` is called again and again while nothing is said; what it raises is raised."""
        if process.stdout is None:
            raise ValueError("the process has no pipe")
        self._fd = process.stdout.fileno()
        self._pid = process.pid
        self._silent_s = silent_s
        self._look = look
        self._rest = b""

    def __iter__(self) -> Iterator[str]:
        while (line := self.line()) is not None:
            yield line

    def line(self) -> str | None:
        """Return the next line; None where there is none."""
        while b"\n" not in self._rest:
            chunk = self._chunk()
            if not chunk:
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def _chunk(self) -> bytes:
        used_s, since_s = self._cpu_s(), time.monotonic()
        while not select.select([self._fd], [], [], _LOOK_S)[0]:
            interrupts.check()
            self._look()
            now_s, used_now_s = time.monotonic(), self._cpu_s()
            if used_now_s != used_s:
                used_s, since_s = used_now_s, now_s
            elif now_s - since_s > self._silent_s:
                quiet = f"has said nothing and used no CPU time for {self._silent_s:g} s"
                raise SilenceError(f"{quiet}: it was stopped, or it hangs")
        interrupts.check()
        return os.read(self._fd, _CHUNK)

    def _cpu_s(self) -> float:
        try:
            times = psutil.Process(self._pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)
