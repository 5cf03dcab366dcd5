"""What the caches of a trial hold when it starts, for the keys that it asks for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scenarios.model import Variant
from simulation.engine import Contents
from simulation.stationary import Lifetimes, look
from traffic.keys import Requests, shares


def steady(variant: Variant, asked: Requests, seed: int, is_missing: Callable[[str], bool]) -> Contents:
    """Return what a long-running service has in its caches, on the trial's clock (its start is 0 µs).

    Entries are of keys that the trial asks a cache for, and no others. Expiries below 0 are those of expired
    copies that are still kept. `is_missing` tells which paths the upstream answers with 404. The same seed
    gives the same contents, as far as the variant's settings are the same.
    """
    if variant.topology == "none":
        return Contents.none()
    caches = 1 if variant.topology == "separate" else variant.replicas
    at = asked.replicas.astype(np.int64) if caches > 1 else np.zeros(asked.keys.size, np.int64)
    entries = np.unique(asked.keys.astype(np.int64) * caches + at)
    keys, of = np.divmod(entries, caches)
    known, places = np.unique(keys, return_inverse=True)
    missing = np.array([is_missing(asked.paths[key]) for key in known.tolist()], np.bool_)[places]
    workload = variant.workload
    random = np.random.default_rng([seed, 5])
    moment = look(
        workload.rate / caches * shares(workload.keys)[keys],
        Lifetimes.of(variant, missing),
        random,
        slot_s=1 / workload.rate if workload.arrivals == "constant" else 0.0,
    )
    held = moment.held
    return Contents(of[held], keys[held], np.round(moment.left_s[held] * 1e6).astype(np.int64))
