"""Ctrl-C and its like, so that no cleaning is interrupted half-way.

A signal raises `Interrupted` at once where nothing is held. Within `held()` it waits for `check()`, which
is called wherever something is waited for, or for the end of the section; within `shielded()`, where
things are removed, for the end alone. Only the first signal counts: those after it change nothing.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The user, or the system, wants the command to end. Not KeyboardInterrupt, which click makes its own."""


@dataclass
class _State:
    depth: int = 0
    shields: int = 0
    arrived: bool = False
    raised: bool = False


_state: Final = _State()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def install() -> None:
    """Take these signals from now on; those of an earlier command are forgotten."""
    _state.arrived = _state.raised = False
    for number in SIGNALS:
        signal.signal(number, _arrived)


def ignore() -> None:
    """Take no notice of these signals any more: nothing is left to be done but to end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _arrived(_: int, __: FrameType | None) -> None:
    _state.arrived = True
    if not _state.depth:
        check()


def check() -> None:
    """Raise Interrupted if a signal has arrived that has not been raised yet.

    In any thread but the main one, whenever a signal has arrived: it takes it from nobody.
    """
    if not _in_main_thread():
        if _state.arrived:
            raise Interrupted
        return
    if _state.arrived and not _state.raised and not _state.shields:
        _state.raised = True
        raise Interrupted


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let no signal interrupt this section other than by `check()`; raise it at the end.

    Signals come to the main thread alone: in others there is nothing to hold.
    """
    if not _in_main_thread():
        yield
        return
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1
    if not _state.depth:
        check()


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Let no signal interrupt this section at all; raise it when the outermost section ends."""
    if not _in_main_thread():
        yield
        return
    with held():
        _state.shields += 1
        try:
            yield
        finally:
            _state.shields -= 1
