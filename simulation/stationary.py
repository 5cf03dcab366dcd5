"""What caches hold at a random moment of a long-running service: where a trial with a steady start begins.

A key that a cache is asked for at rate λ (Poisson) is missed, fetched within L, fresh for T, and missed
again at the next request: a renewal process. In each cycle it is *held* for D = T + L and then *idle* for 1/λ
on average. At a random moment (D. R. Cox, "Renewal Theory", 1962, chapter 5)

    P(held) = λ·E[D] / (1 + λ·E[D]),    and for how long it is still held has the density P(D > r) / E[D]:

uniform on (0, D), for a D that is drawn in proportion to its length. Keys are independent, and so are caches
among which requests are shared out at random. From there misses come at the rate λ / (1 + λ·E[D]) in every
window, however short.

The fetch is part of the time held: a key that is being fetched at the start is put into the cache with more
than T left. Capped at T it would be asked for again too soon. What this leaves out:
the requests that would wait for those fetches are hits, which are L/2 of a window's delayed ones.

D varies with the TTL's jitter and the upstream's latency, and where several calls fetch the same key: the
last to land sets the expiry (see `_last_start`). An expired copy that is still of use (`revalidate`,
`stale_while_revalidate`, `stale_if_error`) is held, too, with less than nothing left. A fetch that fails
(with probability `error_ratio`) is repeated at the next request after it. What the app has in its own
memory (`l1`) is not there at the start: it changes no outcome, and is there after one `l1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Variant
from simulation.lifetimes import OK, stored_s

Array = NDArray[np.float64]
_CANDIDATES: Final = 32  # lifetimes among which one is drawn in proportion to its length
_QUANTILES: Final = (np.arange(64) + 0.5) / 64
_PAUSE_S: Final = 5.0  # the app's own: so long it does not call again for a copy that it can serve stale


@dataclass(frozen=True)
class Lifetimes:
    """How long the copies of some keys are held, and what happens to them afterwards. Times in seconds.

    By key: `ttl_s` is T (0: such responses are not stored), which varies by the share `jitter`, and `grace_s`
    is for how long an expired copy is kept. `fill_s` is L's median, `fill_spread` the sigma of its logarithm.
    `callers`: how many fetch the same key without joining each other's calls (0: every request does).
    `failing`: the share of fetches that fail; after one, none is begun for `pause_s`.
    """

    ttl_s: Array
    grace_s: Array
    jitter: Array
    fill_s: float = 0.0
    fill_spread: float = 0.0
    callers: int = 1
    failing: float = 0.0
    pause_s: float = 0.0

    @classmethod
    def of(cls, variant: Variant, statuses: NDArray[np.integer]) -> Lifetimes:
        """Return those of a variant's keys, by the statuses with which the upstream answers them."""
        cache, upstream = variant.cache, variant.upstream
        grace_s = max(cache.revalidate, cache.stale_while_revalidate, cache.stale_if_error)
        shared = variant.layout.shared
        callers = variant.replicas if shared and not cache.lease else 1
        fill_s = upstream.latency_ms / 1000
        # With a shared cache the other replicas do not know of a failed call, and make their own.
        waits = cache.stale_if_error > 0 and not shared
        return cls(
            ttl_s=stored_s(statuses, cache),
            grace_s=np.where(statuses == OK, grace_s, 0.0),
            jitter=np.where(statuses == OK, cache.ttl_jitter, 0.0),
            fill_s=fill_s,
            fill_spread=upstream.latency_spread,
            # A refresh behind a stale answer is joined, whatever single_flight says.
            callers=callers if cache.single_flight or cache.stale_while_revalidate else 0,
            failing=upstream.error_ratio,
            pause_s=fill_s + (min(cache.ttl, _PAUSE_S) if waits else 0.0),
        )


@dataclass(frozen=True)
class Moment:
    """What is held of each key at one random moment: whether anything is, and for how long it is fresh (s).

    Below zero: it has been expired for so long, and is still kept.
    """

    held: NDArray[np.bool_]
    left_s: Array


def look(rates: Array, lifetimes: Lifetimes, random: np.random.Generator, slot_s: float = 0.0) -> Moment:
    """Look at caches at a random moment of a long-running service.

    `rates` are the requests per second of each key at its cache. `slot_s`: requests come at such equal
    distances, each for a key at random (0: they come as a Poisson process); the moment is that of a request.
    """
    lifetime_s = _lifetime(rates, lifetimes, random)
    mean_s = lifetimes.ttl_s + _mean_fill(rates, lifetimes)
    left_s = random.random(rates.size) * lifetime_s
    if slot_s:
        # Only the requests strictly within a lifetime can be that of the moment.
        mean_s = np.maximum(np.ceil(mean_s / slot_s) - 1, 0) * slot_s
        slots = np.maximum(np.ceil(lifetime_s / slot_s) - 1, 0)
        left_s = lifetime_s - (1 + np.floor(random.random(rates.size) * slots)) * slot_s
    idle_s = (1 + _failures(lifetimes) * (1 + rates * lifetimes.pause_s)) / rates
    kept = lifetimes.ttl_s > 0
    fresh = kept & (random.random(rates.size) * (mean_s + idle_s) < mean_s) & (left_s > 0)
    expired_s = _expired(rates, lifetimes, random)
    stale = kept & ~fresh & (expired_s < lifetimes.grace_s)
    return Moment(fresh | stale, np.where(fresh, left_s, -expired_s))


def _failures(lifetimes: Lifetimes) -> float:
    """Return how many fetches fail before one succeeds, on average."""
    failing = min(lifetimes.failing, 1 - 1e-9)
    return failing / (1 - failing)


def _lifetime(rates: Array, lifetimes: Lifetimes, random: np.random.Generator) -> Array:
    """Draw how long each key is held in all, in proportion to the length: longer ones are met more often."""
    shape = (rates.size, _CANDIDATES)
    drawn_s = lifetimes.ttl_s[:, None] * (1 + lifetimes.jitter[:, None] * random.uniform(-1, 1, shape))
    drawn_s += lifetimes.fill_s * np.exp(lifetimes.fill_spread * random.standard_normal(shape))
    drawn_s += _last_start(rates[:, None], lifetimes, random.random(shape))
    upto = np.cumsum(drawn_s, axis=1)
    upto /= np.maximum(upto[:, -1:], np.finfo(float).tiny)
    chosen = np.minimum((upto < random.random((rates.size, 1))).sum(axis=1), _CANDIDATES - 1)
    return np.asarray(np.take_along_axis(drawn_s, chosen[:, None], axis=1)[:, 0])


def _mean_fill(rates: Array, lifetimes: Lifetimes) -> Array:
    """Return E[L + X]: from the first call for a key to the landing of the last."""
    fill_s = lifetimes.fill_s * np.exp(lifetimes.fill_spread**2 / 2)
    return np.asarray(fill_s + _last_start(rates[:, None], lifetimes, _QUANTILES).mean(axis=1))


def _last_start(rates: Array, lifetimes: Lifetimes, at: Array) -> Array:
    """Return the quantile of X: how long after the first call for a key the last begins that lands after it.

    One caller that joins all its requests: none but the first. Where every request makes a call, it is the
    last within L: P(X ≤ x) = e^(−λ(L − x)). R callers: each of the others begins at most one within L, so
    that P(X ≤ x) = (1 − e^(−λx/R) + e^(−λL/R))^(R − 1).
    """
    fill_s, callers = lifetimes.fill_s, lifetimes.callers
    if callers == 1 or fill_s == 0:
        return np.zeros(np.broadcast_shapes(rates.shape, at.shape))
    if callers == 0:
        return np.maximum(fill_s + np.log(at) / rates, 0)
    share = rates / callers
    none_later = 1 + np.exp(-share * fill_s) - at ** (1 / (callers - 1))
    return np.clip(-np.log(np.minimum(none_later, 1)) / share, 0, fill_s)


def _expired(rates: Array, lifetimes: Lifetimes, random: np.random.Generator) -> Array:
    """Draw for how long an idle key's copy has been expired.

    Without failures it is exponential: the process has no memory. With them the moment lies in the wait for
    a request after i failed fetches, or in the pause after the i-th of them.
    """
    count, failing = rates.size, min(lifetimes.failing, 1 - 1e-9)
    pause_s = lifetimes.pause_s
    failed = random.geometric(1 - failing, count) - 1  # 0, 1, …: with probability (1 − p)·p^i
    pausing = random.random(count) * (1 + failing * rates * pause_s) < failing * rates * pause_s
    waits = random.gamma(failed + 1.0, 1 / rates)
    pauses = failed * pause_s + np.where(pausing, random.random(count) * pause_s, 0.0)
    return np.asarray(waits + pauses)
