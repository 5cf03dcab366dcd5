"""A log's requests for the engine: how long what each brings is kept, and what its earlier lines leave."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Cache, Variant
from simulation.engine import Behaviour, Contents, Trace, contents_at
from simulation.variants import behaviour_of
from traffic.keys import Requests, history

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


def left_by_history(variant: Variant, seed: int, behaviour: Behaviour | None = None) -> Contents:
    """Return what a log's lines before a trial's window leave in the caches, on the trial's clock.

    `variant` is as it is tried (`scenarios.tried`). Where the log begins with the window, that is nothing.

    Raises:
        LogError: the log cannot be used.
    """
    before = history(variant.workload, variant.replicas, seed)
    return contents_at(
        trace_of(before, variant.cache), behaviour or behaviour_of(variant), variant.replicas, 0
    )
