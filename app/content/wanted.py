"""Names that a cache is to hold before anybody asks for them, as lines of text: `app.warm` stores them.

A line has for how many seconds the response is fresh, a space, and the path as a client would send it:

    1800 /content/repos/octo/hello?ref=main

Where there are several caches it has seconds for each, separated by commas, `-` for one that does not get it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from app.names import PREFIX, Names, PathError, Resource

_EXAMPLE: Final = "such as `1800 /content/repos/octo/hello?ref=main`"


class InputError(ValueError):
    """A line of standard input cannot be read; the message says which, and why."""


@dataclass(frozen=True)
class Wanted:
    """What to store, and for how long it is to be fresh in each cache (s); None: not in this one.

    No resource: the app refuses the path.
    """

    resource: Resource | None
    left_s: tuple[float | None, ...]


def wanted(lines: Iterable[str], names: Names, caches: int) -> Iterator[Wanted]:
    """Read names until an empty line, or the end.

    Raises:
        InputError: a line cannot be read.
    """
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line:
            return
        try:
            yield _read(line, names, caches)
        except ValueError as error:
            raise InputError(f"standard input, line {number}: {error}") from error


def _read(line: str, names: Names, caches: int) -> Wanted:
    seconds, _, target = line.partition(" ")
    each = [None if text == "-" else seconds_of(text) for text in seconds.split(",")]
    if len(each) != caches:
        raise ValueError(f"{seconds!r} has seconds for {len(each)} caches, and there are {caches}")
    if not target.startswith(PREFIX):
        raise ValueError(f"{target[:80]!r} does not begin with {PREFIX}; a line is SECONDS PATH, {_EXAMPLE}")
    try:
        resource = names.resource(target[len(PREFIX) :])
    except PathError:
        resource = None  # lists of paths come from logs, and those have everything
    return Wanted(resource, tuple(each))


def seconds_of(text: str) -> float:
    """Return a finite number of seconds.

    Raises:
        ValueError: the text is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"{text[:40]!r} is not a number of seconds; a line is SECONDS PATH, {_EXAMPLE}")
    return seconds
