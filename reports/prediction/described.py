"""Outcomes of traffic that is described by numbers: by the formulas of `reports.theory`, exactly.

Requests come as a Poisson process, each for a key at random. Of R sidecars with random routing each key's
requests at each are Poisson, too. With hashed paths all requests of a key meet one cache: so do they at a
separate Redis with a lease.

A rolling deployment empties each cache, D times a day: what one does from a cold start until the next
deployment is then the same over and over (`renewal.py`). A deployment is taken to come in the middle of an
hour: the first of the hours is half of one in the long run, and half of one from a cold start.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final, Literal

import numpy as np

from reports.theory import Caches, Expected, expected
from scenarios.model import Keys
from simulation.prediction.counting import Caching, Topology
from simulation.prediction.limited import Memory
from simulation.prediction.outcomes import Deployed, Outcome, Source
from simulation.prediction.routing import Routing
from traffic.demand import Demand

_DAY_H: Final = 24
_ONE: Final = 3600.0
_MINUTE_S: Final = 60.0


@dataclass(frozen=True)
class Described:
    """Poisson traffic of `rate` requests per second over a scenario's keys.

    `drawn` draws such traffic for outcomes that no formula has: with a cache in front, other routing, or too
    little memory.
    """

    keys: Keys
    rate: float
    caching: Caching
    routing: Routing = "random"
    deploys_per_day: float = 0.0
    start: Literal["cold", "steady"] = "steady"
    memory: Memory | None = None
    drawn: Callable[[], Source] | None = None

    @cached_property
    def replayed(self) -> Source:
        """Outcomes that no formula has."""
        assert self.drawn is not None, "asked only where there is something to draw"
        return self.drawn()

    def at_memory(self, total: int) -> Source:
        """Return what tells outcomes where all caches together have so many bytes."""
        return self.replayed.at_memory(total)

    def seeds(self, replicas: int) -> int:
        """Return 1: expectations are no averages over assignments."""
        return 1

    @property
    def exact(self) -> bool:
        """Whether formulas have all of its outcomes, but for those with a cache in front."""
        plain = not (self.caching.revalidate_s or self.caching.stale_s)
        return plain and self.routing in ("random", "hash")

    def outcomes(
        self, topology: Topology, replicas: int, ttls_s: Sequence[float], *, l1_s: float = 0.0
    ) -> list[Outcome]:
        """Return an outcome for each TTL."""
        limited = self.memory is not None and self.memory.binds(topology, replicas)
        if topology != "none" and self.drawn is not None and (l1_s or limited or not self.exact):
            return self.replayed.outcomes(topology, replicas, ttls_s, l1_s=l1_s)
        return [self._outcome(topology, replicas, ttl_s) for ttl_s in ttls_s]

    def deployed(self, topology: Topology, replicas: int, ttl_s: float, *, l1_s: float = 0.0) -> Deployed:
        """Return what a deployment costs: the calls of a cold start less those of the long run, far later.

        A renewal process of mean interval μ and E[X²] that begins with a gap of mean 1/λ has t/μ − 1/λμ +
        E[X²]/2μ² events by t, far from its start. With X a dead time D and such a gap, that is t/μ and half
        the square of λD/(1 + λD), the probability that a cache holds the key.
        """
        if topology in ("none", "separate"):
            return Deployed(0.0, None, 0)
        demand = Demand.of(self.keys, self.rate)
        caches = 1 if self.routing == "hash" else replicas
        held = demand.rates / caches * (ttl_s + self.caching.fill_s)
        extra = caches * float((held / (1 + held)) ** 2 @ demand.counts) / 2
        return Deployed(extra, None, 0)

    def _outcome(self, topology: Topology, replicas: int, ttl_s: float) -> Outcome:
        if topology == "none":
            all_of_it = np.full((1, 1), self.rate * _ONE)
            return Outcome(all_of_it[0], 1.0, 0.0, 0.0, 0.0, 0.0, all_of_it, np.zeros((1, 1)))
        caches = self._caches(topology, replicas, ttl_s)

        def within(begin_h: float, end_h: float, start: Literal["cold", "steady"] = "cold") -> Expected:
            return _expected(self.keys, self.rate, caches, (begin_h * _ONE, end_h * _ONE), start)

        if self.deploys_per_day and topology != "separate":
            cold_h = _DAY_H / self.deploys_per_day
            if cold_h < 1:
                return _of([[within(0, cold_h)]], cold_h)
            ends_h = [*np.arange(0.5, cold_h - 0.5).tolist(), cold_h - 0.5]
            later = [[within(begin_h, end_h)] for begin_h, end_h in itertools.pairwise(ends_h)]
            return _of([[within(0, 0.5, "steady"), within(0, 0.5)], *later], cold_h)
        if self.start == "cold":
            return _of([[within(hour, hour + 1)] for hour in range(_DAY_H)], _DAY_H)
        # In the long run one window is like another: of short TTLs a minute tells what an hour has, in a
        # sixtieth of the terms.
        window_h = 1.0 if ttl_s >= _MINUTE_S else _MINUTE_S / _ONE
        return _of([[_longer(within(0, window_h, "steady"), 1 / window_h)]], 1.0)

    def _caches(self, topology: Topology, replicas: int, ttl_s: float) -> Caches:
        shared = topology == "separate" or self.routing == "hash"
        one = self.routing == "hash" or self.caching.lease
        return Caches(
            ttl_s, 1 if shared and one else replicas, shared, self.caching.fill_s, self.caching.joined
        )


@lru_cache(maxsize=4096)
def _expected(
    keys: Keys, rate: float, caches: Caches, window: tuple[float, float], start: Literal["cold", "steady"]
) -> Expected:
    return expected(Demand.of(keys, rate), caches, window, start)


def _longer(window: Expected, factor: float) -> Expected:
    """Return what a window has that is so many times as long, in the long run."""
    return replace(window, requests=window.requests * factor, calls=window.calls * factor)


def _of(hours: Sequence[Sequence[Expected]], length_h: float) -> Outcome:
    """Put hours together, each of which has parts; they are `length_h` hours in all."""
    parts = [part for hour in hours for part in hour]
    return Outcome(
        np.array([sum(part.requests for part in hour) for hour in hours]),
        length_h,
        hits=sum(part.requests * part.hit_ratio for part in parts),
        l1_hits=0.0,
        delayed=sum(part.requests * part.delayed_ratio for part in parts),
        stale=0.0,
        calls=np.array([[sum(part.calls for part in hour) for hour in hours]]),
        unchanged=np.zeros((1, len(hours))),
    )
