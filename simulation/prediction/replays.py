"""Outcomes by replaying a stream's requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from simulation.prediction.counting import Caching, Counts, Topology, count
from simulation.prediction.life import Life
from simulation.prediction.limited import Memory, count_limited
from simulation.prediction.outcomes import Deployed, Outcome, standard_error
from simulation.prediction.routing import RANDOM, Replicas, Routing, route
from simulation.prediction.stream import HOUR_US, Stream

_WORK: Final = 4_000_000  # requests that are replayed for one outcome, over all seeds
_MOST_SEEDS: Final = 20
_LEAST_SEEDS: Final = 3


def seeds_for(requests: int, routing: Routing, replicas: int) -> int:
    """Return over how many assignments to average: one where nothing is random."""
    if routing not in RANDOM or replicas == 1:
        return 1
    return int(np.clip(_WORK // max(requests, 1), _LEAST_SEEDS, _MOST_SEEDS))


@dataclass(eq=False)
class Replays:
    """Replays of one stream with one routing and one way of caching; what was counted is remembered.

    `steady`: the first TTL fills caches, and is not counted; `most_filling` is the largest share of the
    stream that is spent so. `most_seeds` bounds what is averaged.
    """

    stream: Stream
    caching: Caching
    routing: Routing = "random"
    deploys_per_day: float = 0.0
    steady: bool = False
    most_seeds: int = _MOST_SEEDS
    memory: Memory | None = None
    most_filling: float = 1.0
    _routes: dict[tuple[int, int], Replicas] = field(default_factory=dict, repr=False)
    _known: dict[tuple[object, ...], list[Outcome]] = field(default_factory=dict, repr=False)

    def at_memory(self, total: int) -> Replays:
        """Return replays of the same where all caches together have so many bytes; of one seed."""
        assert self.memory is not None, "entries have sizes"
        memory = Memory(self.memory.entries, total=total)
        return dataclasses.replace(self, memory=memory, most_seeds=1, _known={})

    def seeds(self, replicas: int) -> int:
        """Return over how many assignments of requests to replicas outcomes are averaged."""
        return min(self.most_seeds, seeds_for(self.stream.at_us.size, self.routing, replicas))

    def hours(self, ttl_s: float) -> float:
        """Return how many hours are counted.

        Less than an hour from empty caches counts as one: most of its calls fill them, and would not come
        again in the rest of the hour.
        """
        whole = self.stream.span_us / HOUR_US
        return max(0.0, whole - self._filling_s(ttl_s) / 3600) if self.steady else max(1.0, whole)

    def _filling_s(self, ttl_s: float) -> float:
        return min(ttl_s, self.most_filling * self.stream.span_us / 1e6) if self.steady else 0.0

    def outcomes(
        self,
        topology: Topology,
        replicas: int,
        ttls_s: Sequence[float],
        *,
        l1_s: float = 0.0,
        life: Life | None = None,
    ) -> list[Outcome]:
        """Return an outcome for each TTL. `life` takes the place of the regular deployments."""
        if life is None:
            life = Life.regular(self.deploys_per_day, self.stream.span_us, replicas)
        # A cache in the process is taken to hold what a sidecar holds.
        topology = "sidecar" if topology == "process" else topology
        asked = (topology, replicas, tuple(ttls_s), l1_s, life)
        if asked not in self._known:
            self._known[asked] = self._replayed(topology, replicas, ttls_s, l1_s, life)
        return self._known[asked]

    def _replayed(
        self, topology: Topology, replicas: int, ttls_s: Sequence[float], l1_s: float, life: Life
    ) -> list[Outcome]:
        caching = dataclasses.replace(self.caching, l1_s=l1_s)
        limited = self.memory if self.memory is not None and self.memory.binds(topology, replicas) else None
        # A shared cache whose calls are joined by all, or take no time, does not know of replicas.
        alike = topology == "separate" and (caching.lease or caching.fill_s == 0) and l1_s == 0
        alone = topology == "none" or alike
        from_s = [self._filling_s(ttl_s) for ttl_s in ttls_s]
        counted: list[Counts] = []
        for seed in range(1 if alone and caching.jitter == 0 else self.seeds(replicas)):
            routed = self._route(1 if alone else replicas, seed)
            if limited is not None:
                found = count_limited(
                    self.stream, topology, caching, ttls_s, routed, limited,
                    callers=1 if alone else replicas, life=life, count_from_s=from_s,
                )  # fmt: skip
            else:
                found = count(
                    self.stream, topology, caching, ttls_s, routed, life=life, count_from_s=from_s, seed=seed
                )
            counted.append(found)
        return [Outcome.of(counted, at, self.hours(ttl_s)) for at, ttl_s in enumerate(ttls_s)]

    def deployed(self, topology: Topology, replicas: int, ttl_s: float, *, l1_s: float = 0.0) -> Deployed:
        """Return what a deployment costs, at different times of the traffic: the mean over them."""
        span_us = self.stream.span_us
        life = Life.regular(self.deploys_per_day or 1.0, span_us, replicas)
        if not life.deployed_us:
            life = dataclasses.replace(life, deployed_us=(span_us // 2,))
        from_us = self._filling_s(ttl_s) * 1e6
        counted = sum(at_us >= from_us for at_us in life.deployed_us)
        with_it, without = (
            self.outcomes(topology, replicas, [ttl_s], l1_s=l1_s, life=each)[0].calls.sum(axis=1)
            for each in (life, Life())
        )
        extra = (with_it - without) / max(counted, 1)
        return Deployed(float(extra.mean()), standard_error(extra), counted)

    def _route(self, replicas: int, seed: int) -> Replicas:
        if (replicas, seed) not in self._routes:
            if len(self._routes) > 2 * _MOST_SEEDS:
                self._routes.clear()
            self._routes[replicas, seed] = route(self.stream, self.routing, replicas, seed)
        return self._routes[replicas, seed]
