"""A timer that wakes gevent's hub at an absolute time, to the microsecond.

libev's epoll back end rounds its timers to whole milliseconds. A Linux timerfd is a file descriptor that
becomes readable when it is due: epoll returns at once, and nothing is rounded.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Final

import gevent

_CLOCK_MONOTONIC: Final = 1
_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE: Final = 1


class _Spec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Timer:
    """Calls back in the hub when due. The clock is that of `time.perf_counter_ns` (CLOCK_MONOTONIC)."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _Spec()
        self._pointer = ctypes.byref(self._spec)
        self._callback = callback
        self._watcher = gevent.get_hub().loop.io(self._fd, 1)
        self._watcher.start(self._due)

    def set(self, at_ns: int) -> None:
        """Be due at this time; a time that has passed is due at once."""
        self._spec.value_s, self._spec.value_ns = divmod(max(at_ns, 1), 1_000_000_000)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, self._pointer, None)

    def close(self) -> None:
        """Stop, and give the descriptor back; it is no mistake to do so twice."""
        if self._fd < 0:
            return
        self._watcher.stop()
        self._watcher.close()
        os.close(self._fd)
        self._fd = -1

    def _due(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._callback()
