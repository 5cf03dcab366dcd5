"""Paths of a service's own, from a file: one a line, the one most asked for first."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

from traffic.logs import LogError

_TARGET: Final = re.compile(r"[!-~]+")


class PathsError(LogError):
    """A file of paths that cannot be used; the message names file, line and remedy."""


def read_paths(path: Path) -> tuple[str, ...]:
    """Read a file of paths, without their leading slash. Empty lines and comments (#) do not count.

    Raises:
        PathsError: it cannot be read, holds no path, holds one twice, or one that no request can carry.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise PathsError(f"{path}: cannot be read ({error.strerror}); name a file of paths") from error


@functools.lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            if not _TARGET.fullmatch(text) or "#" in text:
                raise PathsError(
                    f"{path}, line {number}: a path has a blank, a # or a character that is not ASCII; write "
                    "it as it goes over the wire, such as docs/caf%C3%A9.md"
                )
            if "://" in text.partition("?")[0]:
                raise PathsError(f"{path}, line {number}: is a URL; write its path alone, from the / on")
            key = text.removeprefix("/")
            if key in seen:
                raise PathsError(f"{path}, line {number}: repeats line {seen[key]}; list each path once")
            seen[key] = number
    if not seen:
        raise PathsError(f"{path}: has no paths; write one per line, the most requested first")
    return tuple(seen)
