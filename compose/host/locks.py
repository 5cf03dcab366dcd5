"""Locks on files: held for as long as the process lives, however it ends, and seen from any namespace.

A process's number means nothing in another PID namespace. `flock` is a property of the open file in the
kernel: whoever can open the same file, from a container or not, sees whether it is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

_MODE: Final = 0o600
_MOST: Final = 1000  # of what a holder says of itself, in bytes


class HeldError(Exception):
    """Somebody else holds the lock. The message is what the holder says of itself; it may be empty."""


class Lock:
    """A lock that is held until it is released or the process ends. Children do not inherit it."""

    def __init__(self, path: Path, holder: str = "") -> None:
        """Take a lock.

        Raises:
            HeldError: somebody else holds it.
            OSError: its file cannot be made.
        """
        self.path = path
        self._fd = _taken(path)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, holder.encode()[:_MOST], 0)

    def release(self) -> None:
        """Remove the file and let go; a second call does nothing."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def is_held(path: Path) -> bool | None:
    """Tell whether somebody holds a lock; None where its file cannot be opened from here."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(fd)


def _taken(path: Path) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(fd, _MOST, 0).decode(errors="replace")
            os.close(fd)
            raise HeldError(said) from None
        except BaseException:
            os.close(fd)
            raise
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        os.close(fd)  # its last holder has just removed it: what is locked is no longer the file
