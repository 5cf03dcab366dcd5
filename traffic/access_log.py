"""Access logs in Common or Combined Log Format, plain or gzip: the GET requests in them, in their order."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(
    r'\S+ \S+ .*?\[(?P<time>[^\]]+)\] "(?P<method>[A-Z]+) (?P<target>\S+)(?: [^"]*)?" '
    r"(?P<status>\d{3}) (?P<size>\d+|-)"
)


class LogError(Exception):
    """A log that cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class LoggedRequest:
    """One GET request: when (seconds since the epoch), which path, and the size of its answer in bytes."""

    at_s: float
    path: str
    size: int | None


@dataclass(frozen=True)
class AccessLog:
    """The GET requests of a log in the order of their times, and how many lines were no request."""

    requests: tuple[LoggedRequest, ...]
    lines: int
    bad_lines: int


def read_log(path: Path) -> AccessLog:
    """Read a log.

    Requests of other methods are left out: they are not cached. Lines that are no request are counted.

    Raises:
        LogError: it cannot be read, or no line of it is a GET request.
    """
    requests, lines, bad = [], 0, 0
    try:
        for line in _lines(path):
            lines += 1
            found = _LINE.match(line)
            at_s = _seconds(found["time"]) if found else None
            if found is None or at_s is None:
                bad += 1
            elif found["method"] == "GET":
                size = None if found["size"] == "-" else int(found["size"])
                requests.append(LoggedRequest(at_s, _path(found["target"]), size))
    except (OSError, EOFError, zlib.error) as error:
        raise LogError(f"{path}: the access log cannot be read ({error})") from error
    if not requests:
        raise LogError(
            f"{path}: none of its {lines} lines is a GET request in Common or Combined Log Format; "
            "check that workload.log names an access log"
        )
    requests.sort(key=lambda request: request.at_s)
    return AccessLog(tuple(requests), lines, bad)


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    opener = gzip.open if packed else open
    with opener(path, "rt", encoding="utf-8", errors="replace") as text:
        yield from text


def _seconds(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except ValueError:
        return None


def _path(target: str) -> str:
    """Return the path with its query, without the leading slash; absolute targets lose their origin."""
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return target.lstrip("/")
