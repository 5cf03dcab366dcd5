"""The requests that a prediction is computed for: those of a log, or drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Keys
from simulation.prediction.kernels import KEPT, NEGATIVE, NOT_KEPT
from traffic.arrivals import arrivals
from traffic.keys import draw
from traffic.logs import AccessLog

HOUR_US: Final = 3_600_000_000
WHOLE: Final = (200, 206, 304)  # they stand for a whole 200
NOT_FOUND: Final = (404, 410)

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Stream:
    """Requests in order of time: when (µs from the first), for which key, and what is kept of a call.

    `kept` has a code of `kernels` for each; `clients` number who asks, where that is known; `bodies` has the
    bytes of each key's body, by the key's number. `span_us` is how long the traffic lasts.
    """

    at_us: Integers
    keys: NDArray[np.int32]
    kept: NDArray[np.int8]
    span_us: int
    clients: NDArray[np.int32] | None = None
    bodies: Integers | None = None

    @classmethod
    def of_log(cls, log: AccessLog) -> Stream:
        """Take a log's requests as they were answered."""
        clients = getattr(log, "clients", None)
        return cls(log.at_us, log.keys, kept(log.status), log.end_us, clients)

    @classmethod
    def drawn(cls, keys: Keys, rate: float, span_s: float, seed: int) -> Stream:
        """Draw Poisson traffic."""
        at_us = arrivals("poisson", rate, span_s, seed)
        names = draw(keys, at_us.size, seed)
        return cls(at_us, names, np.full(at_us.size, KEPT, np.int8), round(span_s * 1e6))

    @property
    def hours(self) -> int:
        """Into how many hours the traffic falls, the last one begun included."""
        return max(1, -(-self.span_us // HOUR_US))

    @cached_property
    def order(self) -> Integers:
        """The requests key by key, those of a key by time."""
        return np.argsort(self.keys, kind="stable")

    @cached_property
    def starts(self) -> Integers:
        """Where in `order` each distinct key begins and, last, how many requests there are."""
        ordered = self.keys[self.order]
        first = [0] if ordered.size else []
        begins = np.flatnonzero(np.diff(ordered)) + 1
        return np.concatenate([first, begins, [ordered.size]]).astype(np.int64)

    @cached_property
    def by_key(self) -> tuple[Integers, NDArray[np.int8], NDArray[np.int32]]:
        """Times, what is kept, and hours, in `order`."""
        at_us = self.at_us[self.order]
        return at_us, self.kept[self.order], (at_us // HOUR_US).astype(np.int32)

    def requests_by_hour(self, from_us: int = 0) -> Integers:
        """Return how many requests each hour has, from a moment on."""
        counted = self.at_us[np.searchsorted(self.at_us, from_us) :]
        return np.bincount(counted // HOUR_US, minlength=self.hours)


def kept(statuses: NDArray[np.int16]) -> NDArray[np.int8]:
    """Return what is kept of calls that are answered so: all of a 200, a 404 for its own time, else nothing.

    206 and 304 stand for a whole 200: a cache asks for the whole, and has no copy of the client's.
    """
    negative = np.where(np.isin(statuses, NOT_FOUND), NEGATIVE, NOT_KEPT)
    return np.where(np.isin(statuses, WHOLE), KEPT, negative).astype(np.int8)
