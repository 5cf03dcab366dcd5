"""Whose a thing is: a mark that names a process, and stays true when its number is given to another."""

from __future__ import annotations

import os

import psutil


def owner_mark() -> str:
    """Return the mark of this process: its number and when it was started."""
    return _mark(psutil.Process(os.getpid()))


def has_living_owner(mark: str) -> bool:
    """Tell whether the process of a mark still runs."""
    number = mark.partition(":")[0]
    if not number.isdigit():
        return False
    try:
        return _mark(psutil.Process(int(number))) == mark
    except psutil.Error:
        return False


def _mark(process: psutil.Process) -> str:
    return f"{process.pid}:{process.create_time():.2f}"
