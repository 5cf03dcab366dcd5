"""What the upstream answers, by path and time, as a log tells it: a file that is looked up in place.

`traffic.logs.handing` writes it; the stub upstream reads it, with the standard library alone. After the magic
bytes come the numbers of paths and of changes, and then columns of 8-byte integers: the paths' marks in
order, the status that each has most often, its bytes (−1: not known), where its changes begin; and for each
change when it is (µs of the log's time) and the status from then on.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import Final, NamedTuple

from traffic.spelling import mark

MAGIC: Final = b"sidecar-bench answers 1\n"
SUFFIX: Final = ".answers"


class Told(NamedTuple):
    """What a log says of an answer; `size` is in bytes, None where it is not known."""

    status: int
    size: int | None


class AnswerTable:
    """The file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no such file, or is cut off.
        """
        with path.open("rb") as file:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if bytes(whole[: len(MAGIC)]) != MAGIC:
            raise ValueError(f"{path}: is no table of answers")
        paths, changes = whole[len(MAGIC) : len(MAGIC) + 16].cast("q")
        self._columns: list[memoryview[int]] = []
        at = len(MAGIC) + 16
        for count in (paths, paths, paths, paths + 1, changes, changes):
            if at + 8 * count > len(whole):
                raise ValueError(f"{path}: the table of answers is cut off")
            column = whole[at : at + 8 * count]
            self._columns.append(column.cast("q") if self._columns else column.cast("Q"))
            at += 8 * count

    def look_up(self, path: bytes, at_us: int | None) -> Told | None:
        """Return what is told of a path at a time of the log (None: what it mostly is), if anything is."""
        marks, usual, sizes, firsts, times, statuses = self._columns
        wanted = mark(path)
        place = bisect_left(marks, wanted)
        if place == len(marks) or marks[place] != wanted:
            return None
        status = usual[place]
        if at_us is not None:
            first, after = firsts[place], firsts[place + 1]
            # Before its first request a path is what it is then.
            change = max(bisect_right(times, at_us, first, after) - 1, first)
            status = statuses[change]
        return Told(status, sizes[place] if sizes[place] >= 0 else None)
