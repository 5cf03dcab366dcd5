"""How loops are compiled: once for all processes where there is a place to keep the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile a loop, and keep the result beside its module or, where that is read-only, in the user's cache.

    While it runs, other threads run, too. Where neither can be written, such as for a service account without
    a home, each process compiles again.
    """
    try:
        kept: Any = njit(cache=True, nogil=True)(loop)
    except RuntimeError:  # numba: "cannot cache function … no locator available"
        kept = njit(nogil=True)(loop)
    return cast("Loop", kept)
