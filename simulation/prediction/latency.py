"""Latencies, put together from what a hit, a miss and a hop take and from simulated outcomes.

A hit takes `hit_ms` and its round trips; a request that makes a call what a miss takes without that call,
its round trips, and the upstream. A request that waits for another's call comes at a random moment of it, and
so waits for half of it on average. Each waits in the queue of its replica, too: the app has one
thread, and M/G/1 has the mean wait λ·E[B²] / 2(1 − λ·E[B]) (Pollaczek, Khinchine) where B is how long a
request keeps it busy. The share λ·E[B] of requests waits at all; for how long is taken as exponential.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from simulation.prediction.outcomes import Shares

_VALUES: Final = 2000  # quantiles that stand for one kind of request
_AT: Final = (np.arange(_VALUES) + 0.5) / _VALUES
_SHUFFLED: Final = np.random.default_rng(1).permutation(_AT)
MOST_BUSY: Final = 1.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """The round trip to a separate Redis and the upstream's latency (median, and sigma of its logarithm)."""

    rtt_ms: float
    upstream_ms: float
    upstream_spread: float = 0.0

    @property
    def upstream_mean_ms(self) -> float:
        """The upstream's mean latency."""
        return self.upstream_ms * math.exp(self.upstream_spread**2 / 2)


@dataclass(frozen=True)
class Times:
    """How long requests take in one topology, beside round trips and the upstream; ms.

    `busy`: for how long they keep the app's process busy. `spread`: sigma of the logarithm of the times.
    """

    hit_ms: float
    miss_ms: float
    l1_hit_ms: float
    hit_hops: float = 0.0
    miss_hops: float = 0.0
    hit_busy_ms: float = 0.05
    miss_busy_ms: float = 0.5
    spread: float = 0.0

    def hit(self, link: Link) -> float:
        """Return what a hit takes on average."""
        return self.hit_ms + self.hit_hops * link.rtt_ms

    def miss(self, link: Link) -> float:
        """Return what a request takes that makes a call."""
        return self.miss_ms + self.miss_hops * link.rtt_ms + link.upstream_mean_ms

    def fill_s(self, link: Link) -> float:
        """Return how long a fill takes: as the median request that makes a call."""
        return (self.miss_ms + self.miss_hops * link.rtt_ms + link.upstream_ms) / 1000


@dataclass(frozen=True)
class Latency:
    """Of all requests, in ms; `waiting_ms` is the part of the mean that is queueing."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    waiting_ms: float


def utilization(times: Times, shares: Shares, rate: float) -> float:
    """Return the share of time for which a replica is busy that serves `rate` requests per second."""
    return rate / 1000 * _busy(times, shares)[0]


def latency(times: Times, link: Link, shares: Shares, rate: float) -> Latency | None:
    """Return the latencies of a replica that serves `rate` requests per second; None: it cannot."""
    waiting = wait_ms(times, shares, rate)
    if waiting is None:
        return None
    values, weights = _mixture(times, link, shares)
    busy = utilization(times, shares, rate)
    if busy > 0:
        # The wait's quantiles, in an order that has nothing to do with that of the others.
        waits = -np.log(np.minimum(_SHUFFLED / busy, 1.0)) * waiting / busy
        values = values + np.tile(waits, values.size // _VALUES)
    order = np.argsort(values)
    upto = np.cumsum(weights[order])
    p50, p90, p99 = (
        float(values[order][min(np.searchsorted(upto, share * upto[-1]), values.size - 1)])
        for share in (0.5, 0.9, 0.99)
    )
    return Latency(mean_ms(times, link, shares) + waiting, p50, p90, p99, waiting)


def mean_ms(times: Times, link: Link, shares: Shares) -> float:
    """Return the mean latency without queueing."""
    hit, miss = times.hit(link), times.miss(link)
    delayed = hit + miss / 2
    return (
        shares.l1 * times.l1_hit_ms
        + (shares.hit + shares.stale) * hit
        + shares.delayed * delayed
        + shares.miss * miss
    )


def wait_ms(times: Times, shares: Shares, rate: float) -> float | None:
    """Return the mean wait in a replica's queue at `rate` requests per second; None where it only grows."""
    mean, square = _busy(times, shares)
    busy = rate / 1000 * mean
    return rate / 1000 * square / (2 * (1 - busy)) if busy < MOST_BUSY else None


def _busy(times: Times, shares: Shares) -> tuple[float, float]:
    """Return mean and mean square of how long a request keeps the app busy."""
    calling = shares.miss
    mean = (1 - calling) * times.hit_busy_ms + calling * times.miss_busy_ms
    return mean, (1 - calling) * times.hit_busy_ms**2 + calling * times.miss_busy_ms**2


def _mixture(times: Times, link: Link, shares: Shares) -> tuple[Array, Array]:
    """Return quantiles of each kind of request, and their weights. Means are kept: medians lie below them."""
    even = np.exp(times.spread * ndtri(_AT) - times.spread**2 / 2)
    upstream = link.upstream_ms * np.exp(link.upstream_spread * ndtri(_AT))
    hit = times.hit_ms * even + times.hit_hops * link.rtt_ms
    miss = times.miss_ms + times.miss_hops * link.rtt_ms + upstream
    kinds = (
        (times.l1_hit_ms * even, shares.l1),
        (hit, shares.hit + shares.stale),
        (times.hit(link) + miss * _SHUFFLED, shares.delayed),
        (miss, shares.miss),
    )
    values = np.concatenate([kind for kind, _ in kinds])
    return values, np.repeat([share / _VALUES for _, share in kinds], _VALUES)
