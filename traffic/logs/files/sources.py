"""Which files a log's name stands for: one, several by a pattern, a pipe, or standard input."""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from traffic.logs.errors import LogError

STDIN: Final = "-"


def named(names: Sequence[str]) -> list[str]:
    """Return the files that names stand for, each once.

    A name that is a file's is that file, whatever signs it has; any other with `*`, `?` or `[` is a pattern.

    Raises:
        LogError: a name stands for no file.
    """
    found: dict[tuple[int, int] | str, str] = {}
    for name in names:
        for path in _files(name):
            found.setdefault(_identity(path), path)
    return list(found.values())


def _files(name: str) -> list[str]:
    if name == STDIN or os.path.lexists(name):
        return [name]
    matching = sorted(glob.glob(name)) if glob.has_magic(name) else []  # noqa: PTH207 (absolute patterns, too)
    files = [path for path in matching if not Path(path).is_dir()]
    if not files:
        why = "no file matches this pattern" if glob.has_magic(name) else "there is no such file"
        raise LogError(f"{name}: {why}; check that workload.log names an access log")
    return files


def _identity(path: str) -> tuple[int, int] | str:
    """Return what two names of one file share."""
    try:
        found = Path(path).stat()
    except OSError:
        return path
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else path


@contextlib.contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file, a named pipe or standard input, to be read once.

    Raises:
        LogError: it cannot be opened.
    """
    if name == STDIN:
        if sys.stdin is None or sys.stdin.isatty():
            raise LogError("-: standard input is a terminal; pipe a log to it")
        yield sys.stdin.buffer
        return
    try:
        if Path(name).is_dir():
            raise LogError(f"{name}: is a folder; name its files, such as {Path(name) / 'access.log*'}")
        file = Path(name).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise LogError(f"{name}: the access log cannot be read ({error.strerror})") from error
    with file:
        yield file
