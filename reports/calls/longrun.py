"""What a variant does in the long run: by formula, or, where Redis has to evict, by simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reports import theory
from scenarios.model import Variant
from simulation import longrun as simulated

Means = Literal["formula", "simulation"]


@dataclass(frozen=True)
class LongRun:
    """What becomes of requests in the long run. `rate` is requests per second; the ratios are shares of them.

    The three ratios add up to 1; `evicted_ratio` is that part of the misses of which Redis had evicted the
    copy.
    """

    rate: float
    hit_ratio: float
    delayed_ratio: float
    miss_ratio: float
    means: Means
    evicted_ratio: float = 0.0

    @property
    def calls_per_hour(self) -> float:
        """Upstream calls per hour."""
        return 3600 * self.rate * self.miss_ratio


def of_variant(variant: Variant) -> LongRun | None:
    """Return what a variant does in the long run; None where `why_not` says why nothing is computed."""
    rate = variant.workload.rate
    if why_not(variant) is not None:
        return None
    if not variant.layout.cached:
        return LongRun(rate, 0.0, 0.0, 1.0, "formula")
    if simulated.evicts(variant):
        found = simulated.simulate(variant)
        return LongRun(rate, found.hits, found.delayed, found.calls, "simulation", found.evicted)
    steady = theory.steady_of(variant)
    if steady is None:
        return None
    return LongRun(rate, steady.hit_ratio, steady.delayed_ratio, steady.miss_ratio, "formula")


def why_not(variant: Variant) -> str | None:
    """Say why the long run of a variant is not computed; None where it is."""
    if not variant.layout.cached and variant.workload.arrivals != "log":
        return None
    reason = theory.no_long_run(variant)
    if reason is not None or not simulated.evicts(variant):
        return reason
    cache = variant.cache
    if max(cache.revalidate, cache.stale_while_revalidate, cache.stale_if_error) > 0:
        return "Redis has too little memory, and expired copies take some of it"
    return None
