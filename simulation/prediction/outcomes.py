"""What a prediction finds for one combination: totals and hours, averaged over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simulation.prediction.counting import Counts, Topology

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """What becomes of a request, as shares of all. They add up to 1."""

    hit: float
    l1: float
    delayed: float
    stale: float
    miss: float


@dataclass(frozen=True)
class Outcome:
    """What became of the counted requests: means over seeds; `calls` and `unchanged` by seed and hour.

    `requests` are by hour; `l1_hits` are among the hits, `unchanged` among the calls.
    """

    requests: Array
    hours: float
    hits: float
    l1_hits: float
    delayed: float
    stale: float
    calls: Array
    unchanged: Array
    evicted: float = 0.0
    hit_ratio_se: float | None = None
    calls_se: float | None = None

    @classmethod
    def of(cls, seeds: Sequence[Counts], at: int, hours: float) -> Outcome:
        """Take the counts of several seeds at one of their TTLs."""
        requests = seeds[0].requests[at].astype(float)
        total = max(requests.sum(), 1.0)
        calls = np.stack([each.calls[at] for each in seeds]).astype(float)
        hits = np.array([each.hits[at].sum() for each in seeds], float)

        def mean(name: str) -> float:
            return float(np.mean([getattr(each, name)[at].sum() for each in seeds]))

        return cls(
            requests, hours, float(hits.mean()), mean("l1_hits"), mean("delayed"), mean("stale"), calls,
            np.stack([each.unchanged[at] for each in seeds]).astype(float), mean("evicted"),
            standard_error(hits / total), standard_error(calls.sum(axis=1)),
        )  # fmt: skip

    @property
    def total(self) -> float:
        """All counted requests."""
        return float(self.requests.sum())

    @property
    def calls_by_hour(self) -> Array:
        """Upstream calls of each hour."""
        return np.asarray(self.calls.mean(axis=0))

    @property
    def quota_by_hour(self) -> Array:
        """Calls of each hour that count against a quota: a 304 does not."""
        return np.asarray((self.calls - self.unchanged).mean(axis=0))

    @property
    def total_calls(self) -> float:
        """All upstream calls."""
        return float(self.calls_by_hour.sum())

    @property
    def total_quota(self) -> float:
        """All calls that count against a quota."""
        return float(self.quota_by_hour.sum())

    def busiest(self, *, quota: bool = False) -> tuple[float, int]:
        """Return the calls of the busiest hour, the mean over seeds, and which it is.

        Where less than an hour is counted, it is what an hour of such traffic has.
        """
        by_seed = self.calls - self.unchanged if quota else self.calls
        most = float(by_seed.max(axis=1).mean())
        return most / min(self.hours, 1.0), int(by_seed.mean(axis=0).argmax())

    def busiest_sd(self) -> float | None:
        """Return the standard deviation over seeds of the calls in the busiest hour; None of one seed."""
        most = self.calls.max(axis=1)
        return float(most.std(ddof=1)) / min(self.hours, 1.0) if most.size > 1 else None

    def hours_over(self, quota: float) -> float:
        """Return in how many hours more calls count than are allowed, the mean over seeds."""
        return float(((self.calls - self.unchanged) > quota).sum(axis=1).mean())

    def shares(self) -> Shares:
        """Return what becomes of a request."""
        total = max(self.total, 1.0)
        redis, l1, late, stale = (
            value / total for value in (self.hits - self.l1_hits, self.l1_hits, self.delayed, self.stale)
        )
        return Shares(redis, l1, late, stale, max(0.0, 1 - redis - l1 - late - stale))


@dataclass(frozen=True)
class Deployed:
    """What a rolling deployment costs: upstream calls more than without it, on average, and its error."""

    extra_calls: float
    extra_calls_se: float | None
    simulated: int
    """Deployments that were simulated; 0: it is an expectation."""


class Source(Protocol):
    """What tells the outcomes of a traffic: replays of its requests, or formulas."""

    def at_memory(self, total: int) -> Source:
        """Return what tells outcomes where all caches together have so many bytes."""

    def seeds(self, replicas: int) -> int:
        """Return over how many assignments of requests to replicas outcomes are averaged."""

    def outcomes(
        self, topology: Topology, replicas: int, ttls_s: Sequence[float], *, l1_s: float = 0.0
    ) -> list[Outcome]:
        """Return an outcome for each TTL."""

    def deployed(self, topology: Topology, replicas: int, ttl_s: float, *, l1_s: float = 0.0) -> Deployed:
        """Return what a deployment costs."""


def standard_error(values: Array) -> float | None:
    """Return the standard error of the mean of several seeds; None of one."""
    if values.size < 2:
        return None
    return float(values.std(ddof=1) / np.sqrt(values.size))
