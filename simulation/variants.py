"""How the caches of a variant behave, for the engine."""

from __future__ import annotations

from scenarios.model import Variant
from simulation.engine import Behaviour


def behaviour_of(variant: Variant, fill_s: float | None = None, capacity: int | None = None) -> Behaviour:
    """Return how a variant's caches behave; without a cache, nothing is kept.

    `fill_s` is how long a fill takes (None: the upstream's median latency), `capacity` the bytes of each
    cache (None: no limit). Stale responses, jitter and the in-process cache are left out.
    """
    cache = variant.cache
    seconds = variant.upstream.latency_ms / 1000 if fill_s is None else fill_s
    return Behaviour(
        ttl_us=0 if not variant.layout.cached else round(cache.ttl * 1e6),
        fill_us=round(seconds * 1e6),
        shared=variant.layout.shared,
        joined=variant.layout.cached and cache.single_flight,
        lease=cache.lease,
        capacity=capacity,
    )
