"""A timer to the microsecond: the kernel's timerfd, which Python's library has from 3.13 on only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from typing import Final

_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME


class _Spec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))


class Alarm:
    """A timer of the kernel's that makes a file descriptor readable at a monotonic time, to the µs."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, at_ns: int) -> None:
        spec = _Spec(0, 0, *divmod(max(at_ns, 1), 1_000_000_000))
        self._libc.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(spec), None)

    def silence(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)
