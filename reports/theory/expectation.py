"""Expected upstream calls, hits and delayed hits of all keys and caches together.

R sidecars are R caches at λ/R each; a separate cache is one at λ. A fill takes L seconds. Requests for the
key meanwhile are *joined* to the call under way (delayed hits), or, in an app without single-flight, each
make a call of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.theory.renewal import Renewals, renewals
from scenarios.schedule import Start
from traffic.demand import Demand

Array = NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)


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
    weights: Array  # how many pairs of key and cache have each rate
    dead_s: Array
    calls: Array
    calls_variance: Array
    delayed: Array
    calls_after: Callable[[float], Array]
    delayed_after: Callable[[float], Array]


def expected(demand: Demand, caches: Caches, window: tuple[float, float], start: Start = "cold") -> Expected:
    """Return the expectation for a window, in seconds since the start.

    The standard error of the calls is exact for joined misses: the counts of different keys and caches are
    independent under Poisson arrivals. From a cold start it is given for windows that begin there; from a
    steady one for any, because the counts depend on the window's length alone.
    """
    cycle = _cycle(demand, caches)
    until, before = (_counts(cycle, caches.fill_s, start, time) for time in reversed(window))
    span_s = window[1] - window[0]
    requests = demand.total * span_s
    calls, delayed = until.calls - before.calls, until.delayed - before.delayed
    error = None
    if start == "steady" or window[0] == 0:
        error = _error(cycle, until if window[0] == 0 else _counts(cycle, caches.fill_s, start, span_s))
    miss, late = calls / requests, delayed / requests
    return Expected(requests, calls, error, 1 - miss - late, late, miss)


def _error(cycle: _Cycle, counts: _Counts) -> float:
    variance = cycle.calls**2 * counts.fills.variance + counts.fills.mean * cycle.calls_variance
    return float(np.sqrt(variance @ cycle.weights))


def calls_by(demand: Demand, caches: Caches, times: Sequence[float], start: Start = "cold") -> Array:
    """Return the expected upstream calls from the start until each of these times (seconds)."""
    cycle = _cycle(demand, caches)
    return np.array([_counts(cycle, caches.fill_s, start, time).calls for time in times])


def steady(demand: Demand, caches: Caches) -> Expected:
    """Return what a second of a long-running service looks like."""
    cycle = _cycle(demand, caches)
    fills = cycle.rates / (1 + cycle.rates * cycle.dead_s) * cycle.weights
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
    weights = copies * demand.counts
    during = rates * fill
    zeros = np.zeros_like(rates)
    if not caches.joined:
        last = fill + np.divide(np.expm1(-during), rates)
        dead = caches.ttl_s + fill + last
        return _Cycle(rates, weights, dead, 1 + during, during, zeros, lambda _: rates, lambda _: zeros)
    if copies > 1 or replicas == 1:
        dead = zeros + caches.ttl_s + fill
        return _Cycle(rates, weights, dead, zeros + 1, zeros, during, lambda _: zeros, lambda _: rates)
    share = rates / replicas
    starts = -np.expm1(-share * fill)
    calls = 1 + (replicas - 1) * starts
    variance = (replicas - 1) * starts * (1 - starts)
    dead = caches.ttl_s + fill + _last_start(share, fill, replicas)

    def calls_after(seconds: float) -> Array:
        return (replicas - 1) * share * np.exp(-share * seconds)

    return _Cycle(
        rates, weights, dead, calls, variance, during - (calls - 1), calls_after,
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
    """What has happened by a time: fills begun, for each rate, and calls and delayed hits of all."""

    fills: Renewals
    calls: float
    delayed: float


def _counts(cycle: _Cycle, fill_s: float, start: Start, until: float) -> _Counts:
    """Count by a time: first misses, and what came within the fill time behind each of them.

    What comes x seconds after the first miss is counted where that began by t − x: the integral
    ∫₀ᴸ after(x)·E[N(t − x)] dx, by Gauss's quadrature.
    """
    fills = renewals(cycle.rates, cycle.dead_s, until, start)
    calls, delayed = float(fills.mean @ cycle.weights), 0.0
    if fill_s > 0 and until > 0:
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            after = (node + 1) * fill_s / 2
            begun = renewals(cycle.rates, cycle.dead_s, until - after, start).mean
            earlier = begun * cycle.weights * weight * fill_s / 2
            calls += float(earlier @ cycle.calls_after(after))
            delayed += float(earlier @ cycle.delayed_after(after))
    return _Counts(fills, calls, delayed)
