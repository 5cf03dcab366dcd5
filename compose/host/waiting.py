"""Waiting for a condition, looking often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from compose.host import interrupts

_EVERY_S: Final = 0.02


def await_condition(condition: Callable[[], bool], within_s: float) -> bool:
    """Wait until a condition holds; tell whether it did in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        interrupts.check()
        if time.monotonic() > deadline:
            return False
        time.sleep(_EVERY_S)
    return True
