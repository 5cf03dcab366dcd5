"""What an upstream's hourly quota allows, at the traffic that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from reports.measures import Measures
from scenarios.model import Variant

# GitHub's REST API: without a token, and with one (docs.github.com, "Rate limits for the REST API").
QUOTAS: Final = (60, 5000)


@dataclass(frozen=True)
class Allowance:
    """One quota (calls an hour) at one variant's appetite for calls."""

    quota: int
    calls_per_hour: float
    requests_per_hour: float

    @property
    def share(self) -> float:
        """Calls made over calls allowed; above 1 the quota is broken."""
        return self.calls_per_hour / self.quota

    @property
    def lasts_minutes(self) -> float:
        """How many minutes of each hour the quota lasts."""
        return min(60.0, 60.0 / self.share) if self.share > 0 else 60.0

    @property
    def most_requests_per_hour(self) -> float | None:
        """The traffic that the quota would bear at the same calls per request; None: any."""
        return self.requests_per_hour / self.share if self.share > 0 else None


def allowances(calls_per_request: float, requests_per_hour: float) -> list[Allowance]:
    """Return what each known quota would allow."""
    return [Allowance(quota, calls_per_request * requests_per_hour, requests_per_hour) for quota in QUOTAS]


def requests_per_hour(variant: Variant, trials: Sequence[Measures]) -> float:
    """Return the user's own traffic: the scenario's rate, or that of the log in its own time."""
    if variant.workload.arrivals != "log":
        return variant.workload.rate * 3600
    requests = sum(trial.requests for trial in trials)
    seconds = sum(trial.record.load.duration_s for trial in trials) * variant.workload.speedup
    return 3600 * requests / seconds if seconds else 0.0
