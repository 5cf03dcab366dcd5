"""What an upstream's hourly quota allows, at the calls that a variant makes in the long run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reports.calls import hourly, longrun
from reports.trial.measures import Measures
from scenarios.model import Variant

# GitHub's REST API: without a token, and with one (docs.github.com, "Rate limits for the REST API").
GITHUB: Final = (60, 5000)
_MOST_RATE: Final = 1e7  # requests per second: whatever a quota bears beyond is any traffic


@dataclass(frozen=True)
class Allowance:
    """One quota (calls an hour) beside a variant's calls an hour."""

    quota: int
    calls_per_hour: float

    @property
    def share(self) -> float:
        """Calls made over calls allowed; above 1 the quota is exceeded."""
        return self.calls_per_hour / self.quota

    @property
    def lasts_minutes(self) -> float:
        """How many minutes of each hour the quota lasts."""
        return min(60.0, 60.0 / self.share) if self.share > 0 else 60.0


def quotas(variants: Iterable[Variant]) -> tuple[int, ...]:
    """Return the quotas to show: the scenario's own (`upstream.rate_limit`), then GitHub's."""
    own = {variant.upstream.rate_limit for variant in variants} - {None}
    return (*sorted(limit for limit in own if limit is not None), *(q for q in GITHUB if q not in own))


def most_requests_per_hour(variant: Variant, quota: int) -> float | None:
    """Return the requests an hour, over the same paths, whose calls just meet a quota; infinite: any number.

    More requests make fewer calls each, as more of them are hits, so that this is worked out and not
    multiplied up. None where nothing computes it.
    """
    if longrun.why_not(variant) is not None:
        return None

    def calls(rate: float) -> float:
        workload = variant.workload.model_copy(update={"rate": rate})
        roomy = variant.cache.model_copy(update={"maxmemory": 10**15})
        found = longrun.of_variant(variant.model_copy(update={"workload": workload, "cache": roomy}))
        return found.calls_per_hour if found is not None else 0.0

    own = longrun.of_variant(variant)
    if own is None or own.means == "simulation":
        return None
    low, high = 1e-6, _MOST_RATE
    if calls(high) <= quota:
        return float("inf")
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if calls(middle) < quota else (low, middle)
    return 3600 * low


def requests_per_hour(variant: Variant, trials: Sequence[Measures]) -> float:
    """Return the user's own traffic: the scenario's rate, or that of the log in its own time."""
    if variant.workload.arrivals != "log":
        return variant.workload.rate * 3600
    exposed = sum(hourly.hours(variant, trial) for trial in trials)
    return sum(trial.requests for trial in trials) / exposed if exposed else 0.0
