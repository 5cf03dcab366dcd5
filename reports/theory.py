"""What a TTL cache must do, by theory: expected upstream calls and hits from a cold start.

A key asked for at rate λ (per second, Poisson) at a cache with lifetime T (seconds, set at fill, never
prolonged by a hit) is missed, filled, hit until it expires, and missed again at the next request. The
times between misses are independent, so the misses form a renewal process whose n-th event is the sum
of n exponential gaps and n − 1 dead times:

    E[misses within t] = Σ_{n≥1} P(Gamma(n, λ) ≤ t − (n − 1)·dead),     steady: λ / (1 + λ·dead)

Source: J. Jung, A. W. Berger, H. Balakrishnan, "Modeling TTL-based Internet caches", INFOCOM 2003.
R sidecars are R such caches at λ/R each; a separate cache is one at λ.

A fill takes L seconds. Requests for the key meanwhile are *joined* to the call under way (delayed
hits), or, in an app without single-flight, each make a call of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from scenarios.model import Keys, Variant

Array = NDArray[np.float64]
_NEGLIGIBLE: Final = 1e-14
_ALONE: Final = 2000
_LARGEST_BODY: Final = 1_048_576  # bytes that the stub sends at most
# Fills whose standard deviation is below this share of the TTL count as equally long.
_EVEN: Final = 0.02
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True)
class Demand:
    """How often keys are asked for: rates (per second, all replicas together), each held by `counts` keys."""

    rates: Array
    counts: Array

    @classmethod
    def of(cls, keys: Keys, rate: float) -> Demand:
        """Return the demand of a scenario's keys at a total rate (requests per second)."""
        if keys.distribution == "uniform" or keys.exponent == 0:
            return cls(np.array([rate / keys.count]), np.array([float(keys.count)]))
        weights = np.arange(1, keys.count + 1, dtype=np.float64) ** -keys.exponent
        starts = _groups(keys.count)
        counts = np.diff(starts, append=keys.count).astype(np.float64)
        return cls(rate * np.add.reduceat(weights, starts) / weights.sum() / counts, counts)

    @property
    def total(self) -> float:
        """All requests per second."""
        return float(self.rates @ self.counts)


def _groups(count: int) -> NDArray[np.int64]:
    """Return where groups of ranks begin that may share one rate: each rank by itself, then 1% of the rank.

    Within a group the rates differ by less than 1%, which changes the expected calls by less than 0.001%.
    """
    tail = np.exp(np.arange(np.log(_ALONE), np.log(max(count, _ALONE)), 0.01)).astype(np.int64)
    starts: NDArray[np.int64] = np.unique(np.concatenate([np.arange(min(count, _ALONE)), tail]))
    return starts[starts < count]


@dataclass(frozen=True)
class Caches:
    """The caches of a variant."""

    ttl_s: float
    replicas: int
    shared: bool
    fill_s: float = 0.0
    joined: bool = False


@dataclass(frozen=True)
class Expected:
    """What theory expects of a window of time. The three ratios add up to 1."""

    requests: float
    calls: float
    calls_error: float | None
    hit_ratio: float
    delayed_ratio: float
    miss_ratio: float


@dataclass(frozen=True)
class _Cycle:
    """What happens at one cache from one first miss of a key to the next, per rate of `Demand`.

    `calls_after` and `delayed_after` are how fast further calls and delayed hits come, so many seconds
    after the first miss and within the fill time; `calls` and `delayed` are what a whole cycle holds.
    """

    rates: Array
    copies: int
    dead_s: Array
    calls: Array
    calls_variance: Array
    delayed: Array
    calls_after: Callable[[float], Array]
    delayed_after: Callable[[float], Array]


def of_variant(variant: Variant, window: tuple[float, float], fill_s: float, joined: bool) -> Expected | None:
    """Return what to expect of a variant from `window[0]` to `window[1]`, in seconds since its cold start.

    None where theory is silent (see `silence`). Requests at equal distances scatter less than the standard
    error says, so that they have none.
    """
    if silence(variant) is not None:
        return None
    found = expected(_demand(variant), _caches(variant, fill_s, joined), window)
    return replace(found, calls_error=None) if variant.workload.arrivals == "constant" else found


def calls_of(variant: Variant, times: Sequence[float], fill_s: float, joined: bool) -> Array | None:
    """Return a variant's expected calls from its cold start until each of these times; None as above."""
    if silence(variant) is not None:
        return None
    return calls_by(_demand(variant), _caches(variant, fill_s, joined), times)


def steady_of(variant: Variant) -> Expected | None:
    """Return what a second of a variant looks like in the long run; None where theory is silent.

    There only the mean lifetime and the mean time of a fill matter, so that they may vary. A quota is left
    out of account: these are the calls that it would have to bear.
    """
    if _unlike_the_model(variant) is not None:
        return None
    fill_s = variant.upstream.latency_ms / 1000
    return steady(_demand(variant), _caches(variant, fill_s, variant.cache.single_flight))


def silence(variant: Variant) -> str | None:
    """Say why theory has nothing to say of a variant's trials; None where it has.

    What it need not mind: revalidation (a call is a call, whether answered 304 or 200), expired copies that
    are served while they are refreshed (one call all the same).
    """
    if variant.upstream.rate_limit is not None:
        return "the upstream's quota may be spent"
    return _unlike_the_model(variant) or _uneven(variant)


def _unlike_the_model(variant: Variant) -> str | None:
    cache, upstream = variant.cache, variant.upstream
    if variant.topology == "none":
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
    cache, shared = variant.cache, variant.topology == "separate"
    # Whoever finds an entry expired is served from it where that is allowed, and one of them refreshes it.
    joined = joined or cache.stale_while_revalidate > 0
    # With a lease the replicas that share a Redis join each other's calls as one replica's requests do.
    replicas = 1 if shared and cache.lease else variant.replicas
    return Caches(cache.ttl, replicas, shared, fill_s, joined)


def expected(demand: Demand, caches: Caches, window: tuple[float, float]) -> Expected:
    """Return the expectation for a window, in seconds since the cold start.

    The standard error of the calls is given for windows that begin at the cold start: there it is exact
    (the counts of different keys and caches are independent under Poisson arrivals).
    """
    cycle = _cycle(demand, caches)
    weights = cycle.copies * demand.counts
    until, before = (_counts(cycle, caches.fill_s, weights, time) for time in reversed(window))
    requests = demand.total * (window[1] - window[0])
    calls, delayed = until.calls - before.calls, until.delayed - before.delayed
    error = None
    if window[0] == 0:
        error = float(
            np.sqrt((cycle.calls**2 * until.variance + until.fills * cycle.calls_variance) @ weights)
        )
    miss, late = calls / requests, delayed / requests
    return Expected(requests, calls, error, 1 - miss - late, late, miss)


def calls_by(demand: Demand, caches: Caches, times: Sequence[float]) -> Array:
    """Return the expected upstream calls from the cold start until each of these times (seconds)."""
    cycle = _cycle(demand, caches)
    return np.array(
        [_counts(cycle, caches.fill_s, cycle.copies * demand.counts, time).calls for time in times]
    )


def steady(demand: Demand, caches: Caches) -> Expected:
    """Return what a second looks like long after the start, when the cold start has faded."""
    cycle = _cycle(demand, caches)
    fills = cycle.rates / (1 + cycle.rates * cycle.dead_s) * cycle.copies * demand.counts
    miss = float(fills @ cycle.calls) / demand.total
    late = float(fills @ cycle.delayed) / demand.total
    return Expected(demand.total, miss * demand.total, None, 1 - miss - late, late, miss)


def _cycle(demand: Demand, caches: Caches) -> _Cycle:
    """Say what one cycle holds, for each rate.

    Joined misses, one cache a replica: one call, λL delayed hits, dead time T + L. Misses joined within
    each of R replicas of a shared cache: 1 + (R − 1)(1 − exp(−λL/R)) calls. Not joined: 1 + λL calls. In
    the last two the latest call to start, X after the first, sets the expiry: the dead time is T + L + E[X].
    """
    fill, replicas = caches.fill_s, caches.replicas
    copies = 1 if caches.shared else replicas
    rates = demand.rates / copies
    during = rates * fill
    zeros = np.zeros_like(rates)
    if not caches.joined:
        last = fill + np.divide(np.expm1(-during), rates)
        dead = caches.ttl_s + fill + last
        return _Cycle(rates, copies, dead, 1 + during, during, zeros, lambda _: rates, lambda _: zeros)
    if copies > 1 or replicas == 1:
        dead = zeros + caches.ttl_s + fill
        return _Cycle(rates, copies, dead, zeros + 1, zeros, during, lambda _: zeros, lambda _: rates)
    share = rates / replicas
    starts = -np.expm1(-share * fill)
    calls = 1 + (replicas - 1) * starts
    variance = (replicas - 1) * starts * (1 - starts)
    dead = caches.ttl_s + fill + _last_start(share, fill, replicas)

    def calls_after(seconds: float) -> Array:
        return (replicas - 1) * share * np.exp(-share * seconds)

    return _Cycle(
        rates, 1, dead, calls, variance, during - (calls - 1), calls_after,
        lambda seconds: rates - calls_after(seconds),
    )  # fmt: skip


def _last_start(share: Array, fill: float, replicas: int) -> Array:
    """E[latest start of the other replicas' calls] = ∫₀ᴸ 1 − (1 − e^(−λx/R) + e^(−λL/R))^(R−1) dx."""
    at = (_NODES + 1) * fill / 2
    none_later = 1 - np.exp(-np.outer(share, at)) + np.exp(-share * fill)[:, None]
    integral: Array = (1 - none_later ** (replicas - 1)) @ _WEIGHTS * fill / 2
    return integral


@dataclass(frozen=True)
class _Counts:
    """What has happened by a time: cycles begun, for each rate, and calls and delayed hits of all."""

    fills: Array
    variance: Array
    calls: float
    delayed: float


def _counts(cycle: _Cycle, fill_s: float, weights: Array, until: float) -> _Counts:
    """Count by a time: first misses, and what came within the fill time behind each of them.

    What comes x seconds after the first miss is counted where that began by t − x: the integral
    ∫₀ᴸ after(x)·E[N(t − x)] dx, by Gauss's quadrature.
    """
    fills, variance = _renewals(cycle, until)
    calls, delayed = float(fills @ weights), 0.0
    if fill_s > 0 and until > 0:
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            after = (node + 1) * fill_s / 2
            earlier = _renewals(cycle, until - after)[0] * weights * weight * fill_s / 2
            calls += float(earlier @ cycle.calls_after(after))
            delayed += float(earlier @ cycle.delayed_after(after))
    return _Counts(fills, variance, calls, delayed)


def _renewals(cycle: _Cycle, until: float) -> tuple[Array, Array]:
    """Return mean and variance of the number of cycles begun by a time, for each rate.

    E[N] = Σ P(S_n ≤ t), E[N²] = Σ (2n − 1) P(S_n ≤ t). The sum ends by itself, as the dead times fill t;
    rates whose terms have become negligible are dropped on the way.
    """
    mean, square = np.zeros_like(cycle.rates), np.zeros_like(cycle.rates)
    left = np.arange(cycle.rates.size)
    n = 1
    while left.size:
        free = until - (n - 1) * cycle.dead_s[left]
        left, free = left[free > 0], free[free > 0]
        reached = gammainc(n, cycle.rates[left] * free)
        mean[left] += reached
        square[left] += (2 * n - 1) * reached
        left = left[reached > _NEGLIGIBLE]
        n += 1
    return mean, np.maximum(square - mean**2, 0)
