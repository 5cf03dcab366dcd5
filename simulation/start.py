"""What the caches of a trial hold when it starts, where they stand as those of a long-running service.

keys at random                    as at a random moment (`simulation.stationary`)
… and Redis has too little room   what a simulated history leaves in an LRU of that size
a log's keys, at another rate     what the requests before leave; the log goes round
a log, at its own times           what its own earlier lines leave, from empty caches at its beginning
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Variant
from simulation import longrun
from simulation.engine import Contents, contents_at
from simulation.logs import trace_of
from simulation.stationary import Lifetimes, look
from simulation.variants import behaviour_of
from traffic.keys import Requests, history, path_of, shares

_MOST_REQUESTS: Final = 4_000_000  # of a history
_TTLS: Final = 2.0  # as long as a history is, where it goes round

Integers = NDArray[np.int64]


def steady(variant: Variant, asked: Requests, seed: int, is_missing: Callable[[str], bool]) -> Contents:
    """Return what a long-running service has in its caches, on the trial's clock (its start is 0 µs).

    Entries are of keys that the trial asks a cache for; where memory is limited, of all that fill it, the
    longest unused first. Expiries below 0 are those of expired copies that are still kept. `is_missing` tells
    which paths the upstream answers with 404. The same seed and settings give the same contents.

    Raises:
        LogError: the workload's log cannot be used.
    """
    if not variant.layout.cached:
        return Contents.none()
    if variant.workload.log is not None:
        return _of_log(variant, asked, seed)
    if longrun.evicts(variant):
        return longrun.contents(variant, seed)
    return _at_random(variant, asked, seed, is_missing)


def path(asked: Requests, key: int) -> str:
    """Return the path of a key that is held, whether the trial asks for it or not."""
    return asked.paths[key] if key in asked.paths else path_of(key)


def _at_random(variant: Variant, asked: Requests, seed: int, is_missing: Callable[[str], bool]) -> Contents:
    caches = _caches(variant)
    keys, of = np.divmod(_pairs(asked, caches), caches)
    known, places = np.unique(keys, return_inverse=True)
    statuses = np.array([404 if is_missing(asked.paths[key]) else 200 for key in known.tolist()])[places]
    rates = variant.workload.rate / caches * shares(variant.workload.keys)[keys]
    return _looked_at(variant, of, keys, rates, statuses, seed)


def _looked_at(
    variant: Variant,
    caches: Integers,
    keys: Integers,
    rates: NDArray[np.float64],
    statuses: NDArray[np.integer],
    seed: int,
) -> Contents:
    workload = variant.workload
    slot_s = 1 / workload.rate if workload.arrivals == "constant" else 0.0
    moment = look(rates, Lifetimes.of(variant, statuses), np.random.default_rng([seed, 5]), slot_s)
    held = moment.held
    return Contents(caches[held], keys[held], np.round(moment.left_s[held] * 1e6).astype(np.int64))


def _of_log(variant: Variant, asked: Requests, seed: int) -> Contents:
    workload, caches = variant.workload, _caches(variant)
    back_s = min(_TTLS * variant.cache.ttl, _MOST_REQUESTS / workload.rate)
    earlier = history(workload, variant.replicas, seed, back_s)
    start = Contents.none()
    if workload.arrivals != "log" and earlier.keys.size:
        # Long before, as at a random moment: so it is forgotten where all began.
        known, first, counts = np.unique(earlier.keys, return_index=True, return_counts=True)
        assert earlier.statuses is not None, "a log tells them"
        start = _looked_at(
            variant,
            np.tile(np.arange(caches), known.size),
            np.repeat(known.astype(np.int64), caches),
            np.repeat(workload.rate / caches * counts / counts.sum(), caches),
            np.repeat(earlier.statuses[first], caches),
            seed,
        ).shifted(round(-back_s * 1e6))
    held = contents_at(
        trace_of(earlier, variant.cache), behaviour_of(variant), variant.replicas, 0, start, _kept_us(variant)
    )
    wanted = np.isin(held.keys * caches + held.caches, _pairs(asked, caches))
    return Contents(held.caches[wanted], held.keys[wanted], held.expires_us[wanted])


def _kept_us(variant: Variant) -> int:
    cache = variant.cache
    return round(max(cache.revalidate, cache.stale_while_revalidate, cache.stale_if_error) * 1e6)


def _caches(variant: Variant) -> int:
    return variant.layout.cache_count(variant.replicas)


def _pairs(asked: Requests, caches: int) -> Integers:
    """Return what the trial asks for, as key × caches + cache, in ascending order."""
    at = asked.replicas.astype(np.int64) if caches > 1 else np.zeros(asked.keys.size, np.int64)
    return np.unique(asked.keys.astype(np.int64) * caches + at)
