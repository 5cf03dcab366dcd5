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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from scenarios.model import Keys, Variant

Array = NDArray[np.float64]
_NEGLIGIBLE: Final = 1e-14
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


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
        return cls(rate * weights / weights.sum(), np.ones(keys.count))

    @property
    def total(self) -> float:
        """All requests per second."""
        return float(self.rates @ self.counts)


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
    """What happens at one cache from one first miss of a key to the next, per rate of `Demand`."""

    rates: Array
    copies: int
    dead_s: Array
    calls: Array
    calls_variance: Array
    delayed: Array


def of_variant(variant: Variant, window: tuple[float, float], fill_s: float, joined: bool) -> Expected | None:
    """Return what to expect of a variant from `window[0]` to `window[1]`, in seconds since its cold start.

    None where theory has nothing to say: no cache, or requests from a log, which are not Poisson.
    """
    if variant.topology == "none" or variant.workload.log is not None:
        return None
    caches = Caches(variant.cache.ttl, variant.replicas, variant.topology == "separate", fill_s, joined)
    return expected(Demand.of(variant.workload.keys, variant.workload.rate), caches, window)


def expected(demand: Demand, caches: Caches, window: tuple[float, float]) -> Expected:
    """Return the expectation for a window, in seconds since the cold start.

    The standard error of the calls is given for windows that begin at the cold start: there it is exact
    (the counts of different keys and caches are independent under Poisson arrivals).
    """
    cycle = _cycle(demand, caches)
    until, variance = _renewals(cycle, window[1])
    before, _ = _renewals(cycle, window[0])
    fills = (until - before) * cycle.copies * demand.counts
    requests = demand.total * (window[1] - window[0])
    calls, delayed = float(fills @ cycle.calls), float(fills @ cycle.delayed)
    error = None
    if window[0] == 0:
        per_cache = cycle.calls**2 * variance + until * cycle.calls_variance
        error = float(np.sqrt(per_cache @ (cycle.copies * demand.counts)))
    miss, late = calls / requests, delayed / requests
    return Expected(requests, calls, error, 1 - miss - late, late, miss)


def calls_by(demand: Demand, caches: Caches, times: Sequence[float]) -> Array:
    """Return the expected upstream calls from the cold start until each of these times (seconds)."""
    cycle = _cycle(demand, caches)
    weights = cycle.copies * demand.counts * cycle.calls
    return np.array([float(_renewals(cycle, time)[0] @ weights) for time in times])


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
        return _Cycle(rates, copies, caches.ttl_s + fill + last, 1 + during, during, zeros)
    if copies > 1 or replicas == 1:
        return _Cycle(rates, copies, zeros + caches.ttl_s + fill, zeros + 1, zeros, during)
    share = rates / replicas
    starts = -np.expm1(-share * fill)
    calls = 1 + (replicas - 1) * starts
    variance = (replicas - 1) * starts * (1 - starts)
    dead = caches.ttl_s + fill + _last_start(share, fill, replicas)
    return _Cycle(rates, 1, dead, calls, variance, during - (calls - 1))


def _last_start(share: Array, fill: float, replicas: int) -> Array:
    """E[latest start of the other replicas' calls] = ∫₀ᴸ 1 − (1 − e^(−λx/R) + e^(−λL/R))^(R−1) dx."""
    at = (_NODES + 1) * fill / 2
    none_later = 1 - np.exp(-np.outer(share, at)) + np.exp(-share * fill)[:, None]
    integral: Array = (1 - none_later ** (replicas - 1)) @ _WEIGHTS * fill / 2
    return integral


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
