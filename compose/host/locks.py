"""Locks on files: held for as long as the process lives, however it ends, and seen from any namespace.

A process's number means nothing in another PID namespace. `flock` is a property of the open file in the
kernel: whoever can open the same file, from a container or not, sees whether it is held.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

_MODE: Final = 0o600
_MODE_OF_ALL: Final = 0o666
_MOST: Final = 1000  # of what a holder says of itself, in bytes
# `is_held` holds a lock for some microseconds itself: whoever finds it held asks again for so long.
_ASKING_S: Final = 0.1


class HeldError(Exception):
    """Somebody else holds the lock. The message is what the holder says of itself; it may be empty."""


class Lock:
    """A lock that is held until it is released or the process ends. Children do not inherit it."""

    def __init__(self, path: Path, holder: str = "", *, shared: bool = False) -> None:
        """Take a lock. The file of a `shared` one may be another user's, and stays when it is released.

        Raises:
            HeldError: somebody else holds it.
            OSError: its file cannot be made, or opened.
        """
        self.path = path
        self._shared = shared
        self._fd = _taken_of_all(path) if shared else _taken(path)
        self.say(holder)

    def say(self, holder: str) -> None:
        """Store a text for those who find it held, such as which run holds it."""
        # A shared one that another user has made may be one that can only be read.
        with contextlib.suppress(OSError) if self._shared else contextlib.nullcontext():
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, holder.encode()[:_MOST], 0)

    def release(self) -> None:
        """Remove the file, unless it is shared, and let go; a second call does nothing."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            if self._shared:
                os.ftruncate(self._fd, 0)
            else:
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
        _lock(fd)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
        os.close(fd)  # its last holder has just removed it: what is locked is no longer the file


def _taken_of_all(path: Path) -> int:
    fd = _opened_for_all(path)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    _lock(fd)
    return fd


def _opened_for_all(path: Path) -> int:
    """Open a file in a folder where everybody may make files, or make it."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    # Without O_CREAT first: the kernel refuses that for files of others there (fs.protected_regular).
    tries: list[Callable[[], int]] = [
        lambda: os.open(path, flags | os.O_RDWR),
        lambda: os.open(path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE_OF_ALL),
        lambda: os.open(path, flags | os.O_RDWR),  # another has just made it
    ]
    for attempt in tries:
        with contextlib.suppress(FileNotFoundError, FileExistsError, PermissionError):
            fd = attempt()
            if os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, _MODE_OF_ALL)  # whatever the umask
            return fd
    return os.open(path, flags | os.O_RDONLY)


def _lock(fd: int) -> None:
    """Lock an open file, or close it again."""
    deadline = time.monotonic() + _ASKING_S
    try:
        while True:
            try:
                return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    said = os.pread(fd, _MOST, 0).decode(errors="replace")
                    raise HeldError("".join(char for char in said if char.isprintable())) from None
            time.sleep(0.005)
    except BaseException:
        os.close(fd)
        raise
