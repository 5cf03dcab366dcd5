"""What a log holds once it is read: requests as columns, in the order of their times, and resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

SECOND_US: Final = 1_000_000


class LeftOut(BaseModel):
    """Lines that are no requests to replay: why, how many, and the first of them."""

    model_config = ConfigDict(frozen=True)

    reason: str
    lines: int
    first: str


class Facts(BaseModel):
    """What is told of a log."""

    model_config = ConfigDict(frozen=True)

    names: tuple[str, ...] = Field(description="The files that were read.")
    format: str
    detected: tuple[str, ...] = Field((), description="For each format: what was taken as what.")
    lines: int
    requests: int = Field(description="GET and HEAD requests: those that a cache would see.")
    resources: int = Field(description="Distinct keys among them: host, where the log has it, and target.")
    left_out: tuple[LeftOut, ...] = ()
    unreadable: int = Field(0, description="Those of the lines left out that are not in the log's format.")
    first_us: int = Field(description="Time of the first request, µs since the epoch.")
    last_us: int
    methods: dict[str, int]
    statuses: dict[str, int]
    asked_once: int = Field(description="Resources that are asked for once.")
    clients: int = Field(0, description="Distinct clients; 0 where the log names none.")
    far: int = Field(0, description="Requests whose times are far from all others: not replayed.")
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Blob:
    """Many byte strings in one: text `i` is `data[ends[i - 1]:ends[i]]`."""

    data: bytes
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> Blob:
        """Put texts together."""
        listed = list(texts)
        return cls(b"".join(listed), np.cumsum([len(text) for text in listed], dtype=np.int64))

    def __len__(self) -> int:
        return int(self.ends.size)

    def __iter__(self) -> Iterator[bytes]:
        begin = 0
        for end in self.ends.tolist():
            yield self.data[begin:end]
            begin = end

    def __getitem__(self, number: int) -> bytes:
        return self.data[int(self.ends[number - 1]) if number else 0 : int(self.ends[number])]


@dataclass(frozen=True, eq=False)
class AccessLog:
    """The GET and HEAD requests of a log in the order of their times, without those far from all others.

    `at_us` counts from the first request; the requests of one second are spread evenly over it where the log
    tells whole seconds. `status` is the logged one, `size` the logged bytes, −1 where the log has none.
    `clients` numbers the clients' addresses, −1 where the log has none; the addresses are not kept.
    `end_us`: when the log ends, by the same clock. `resources` has `http://HOST/…` or `/…` for each key.
    """

    at_us: NDArray[np.int64]
    keys: NDArray[np.int32]
    status: NDArray[np.int16]
    size: NDArray[np.int64]
    heads: NDArray[np.bool_]
    clients: NDArray[np.int32]
    resources: Blob
    end_us: int
    facts: Facts


def spread(at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return times in whole seconds, in order, with those of one second spread evenly over it."""
    seconds = at_us // SECOND_US
    first = np.flatnonzero(np.diff(seconds, prepend=seconds[0] - 1))
    count = np.diff(first, append=seconds.size)
    place = np.arange(at_us.size) - np.repeat(first, count)
    spread_us: NDArray[np.int64] = seconds * SECOND_US + place * SECOND_US // np.repeat(count, count)
    return spread_us


def apart(at_us: NDArray[np.int64]) -> slice:
    """Return which of the times, in order, belong together: a few far from all the rest do not.

    At either end at most 1% of them, or one, where what lies between is longer than a day and than ten times
    the rest. A clock that was not set writes 1970, and one such line must not make a log 46 years long.
    """
    first, last = 0, at_us.size
    few = max(1, at_us.size // 100)
    while last - first > 10:
        gaps = np.diff(at_us[first:last])
        at = int(gaps.argmax())
        before, after = at + 1, last - first - at - 1
        span = int(at_us[last - 1] - at_us[first]) - int(gaps[at])
        if min(before, after) > few or gaps[at] <= max(86_400 * SECOND_US, 10 * span):
            break
        first, last = (first + before, last) if before <= after else (first, first + before)
    return slice(first, last)
