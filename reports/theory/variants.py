"""What theory expects of a scenario's variant, or why there is no prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reports.theory.expectation import Caches, Expected, calls_by, expected, steady
from scenarios.model import Variant
from scenarios.schedule import Start
from traffic.demand import Demand

Array = NDArray[np.float64]
_LARGEST_BODY: Final = 1_048_576  # bytes that the stub sends at most
# Fills whose standard deviation is below this share of the TTL count as equally long.
_EVEN: Final = 0.02


def of_variant(
    variant: Variant, window: tuple[float, float], fill_s: float, joined: bool, start: Start = "cold"
) -> Expected | None:
    """Return what to expect of a variant from `window[0]` to `window[1]`, in seconds since its start.

    None where there is no prediction. Requests at equal distances scatter less than the standard error says,
    so that they have none.
    """
    if no_prediction(variant) is not None:
        return None
    found = expected(_demand(variant), _caches(variant, fill_s, joined), window, start)
    return replace(found, calls_error=None) if variant.workload.arrivals == "constant" else found


def calls_of(
    variant: Variant, times: Sequence[float], fill_s: float, joined: bool, start: Start = "cold"
) -> Array | None:
    """Return a variant's expected calls from its start until each of these times; None as above."""
    if no_prediction(variant) is not None:
        return None
    return calls_by(_demand(variant), _caches(variant, fill_s, joined), times, start)


def steady_of(variant: Variant) -> Expected | None:
    """Return what a second of a variant looks like in the long run; None where there is no prediction.

    There only the mean lifetime and the mean time of a fill matter, so that they may vary. A quota is left
    out of account: these are the calls that it would have to bear. So is a limit of memory.
    """
    if no_long_run(variant) is not None:
        return None
    fill_s = variant.upstream.latency_ms / 1000
    return steady(_demand(variant), _caches(variant, fill_s, variant.cache.single_flight))


def no_prediction(variant: Variant) -> str | None:
    """Say why there is no prediction for a variant's trials; None where there is one.

    What changes no call: revalidation (a call is a call, whether answered 304 or 200), expired copies that
    are served while they are refreshed (one call all the same).
    """
    if variant.upstream.rate_limit is not None:
        return "the upstream's quota may be spent"
    return no_long_run(variant) or _uneven(variant)


def no_long_run(variant: Variant) -> str | None:
    """Say why there is no prediction for a variant's long run; None where there is one."""
    cache, upstream = variant.cache, variant.upstream
    if not variant.layout.cached:
        return "there is no cache"
    if variant.workload.log is not None:
        return "requests from a log are not Poisson"
    if upstream.error_ratio:
        return "the upstream fails, and what failed is not kept"
    if cache.l1:
        return "there is one more cache, in the app's memory"
    if cache.stale_while_revalidate and not cache.single_flight:
        return "refreshes are joined where first misses are not"
    if cache.lease and upstream.latency_ms >= 1000 * cache.lease_wait:
        return "calls outlast the wait for a lease"
    if upstream.missing_ratio or cache.max_body < _LARGEST_BODY:
        return "not every response is kept for the TTL"
    return None


def _uneven(variant: Variant) -> str | None:
    """Say whether lifetimes, or fills beside them, vary too much to be taken as equally long."""
    upstream = variant.upstream
    variance = upstream.latency_spread**2
    spread_s = upstream.latency_ms / 1000 * np.sqrt(np.expm1(variance) * np.exp(variance))
    if variant.cache.ttl_jitter or spread_s > _EVEN * variant.cache.ttl:
        return "copies do not live equally long"
    return None


def _demand(variant: Variant) -> Demand:
    return Demand.of(variant.workload.keys, variant.workload.rate)


def _caches(variant: Variant, fill_s: float, joined: bool) -> Caches:
    cache, shared = variant.cache, variant.layout.shared
    # Whoever finds an entry expired is served from it where that is allowed, and one of them refreshes it.
    joined = joined or cache.stale_while_revalidate > 0
    # With a lease the replicas that share a Redis join each other's calls as one replica's requests do.
    replicas = 1 if shared and cache.lease else variant.replicas
    return Caches(cache.ttl, replicas, shared, fill_s, joined)
