"""A log's requests for the engine: how long what each of them brings is kept."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Cache
from simulation.engine import Trace
from traffic.keys import Requests

_KEPT: Final = 200
_NEGATIVE: Final = (404, 410)


def lifetimes_us(statuses: NDArray[np.int16], cache: Cache) -> NDArray[np.int64]:
    """Return for how long the app keeps what each request's call brings: nothing but 200, 404 and 410."""
    kept = np.where(np.isin(statuses, _NEGATIVE), round(cache.negative_ttl * 1e6), 0)
    return np.where(statuses == _KEPT, round(cache.ttl * 1e6), kept).astype(np.int64)


def trace_of(requests: Requests, cache: Cache) -> Trace:
    """Return requests as the engine takes them; the cache's times are those of the requests' clock."""
    lifetimes = None if requests.statuses is None else lifetimes_us(requests.statuses, cache)
    return Trace(requests.at_us, requests.keys, requests.replicas, lifetimes)
