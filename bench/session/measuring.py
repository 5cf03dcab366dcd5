"""One run at a time measures on a machine: two would compete for CPU time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.errors import UserError
from compose.host.locks import HeldError, Lock

# Folders in which every user may make files, whatever TMPDIR says: all runs have to meet at one place.
PLACES: Final = (Path("/run/lock"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 (a lock, and nothing of ours)
FILE: Final = "sidecar-bench.lock"
# Tests of the bench name a lock of their own, so that they can run beside a measurement, and it beside them.
TESTS: Final = "SIDECAR_BENCH_TESTS_LOCK"


class Alone:
    """The lock on measuring; `remark` says why there is none, where there is none."""

    def __init__(self, lock: Lock | None, remark: str = "") -> None:
        self._lock = lock
        self.remark = remark

    def names(self, holder: str) -> None:
        """Let others know what measures."""
        if self._lock is not None:
            self._lock.say(holder)


@contextlib.contextmanager
def alone(holder: str) -> Iterator[Alone]:
    """Measure alone on this machine within the context.

    Raises:
        UserError: another run measures.
    """
    path = place()
    try:
        lock = Lock(path, holder, shared=True)
    except HeldError as error:
        raise UserError(
            f"another run is measuring on this machine ({error or 'it does not say which'}). Two at once "
            "would disturb each other: wait until it ends, or end that process"
        ) from error
    except OSError as error:
        why = error.strerror or error
        yield Alone(None, f"{path}: cannot be locked ({why}); make sure that no other run measures.")
        return
    with lock:
        yield Alone(lock)


def place() -> Path:
    """Return the file by which the runs of all users of this machine know of each other."""
    if TESTS in os.environ:
        return Path(os.environ[TESTS])
    usable = (folder for folder in PLACES if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK))
    return next(usable, PLACES[-1]) / FILE
