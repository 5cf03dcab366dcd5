"""The metrics that variants are compared by: their names, units, which way is better, what matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Direction = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """One metric of summary.json. `shown` is how many of `unit` one of the stored unit is."""

    name: str
    label: str
    unit: str
    better: Direction
    shown: float = 1.0
    digits: int = 1
    # Differences within this are held to be no difference: a share of the value, or absolute (stored unit).
    relative_margin: float = 0.0
    absolute_margin: float = 0.0
    most: float | None = None

    def margin(self, reference: float) -> float:
        """Return the smallest difference that matters, beside a reference value, in the stored unit."""
        return max(self.relative_margin * abs(reference), self.absolute_margin)

    def text(self, value: float | None, *, sign: bool = False, unit: bool = True) -> str:
        """Show a value for people: `0.42 ms`, `+3.1 points`."""
        if value is None:
            return "–"
        number = f"{value * self.shown:{'+' if sign else ''},.{self.digits}f}".replace("-", "−")
        if float(f"{value * self.shown:.{self.digits}f}") == 0:
            number = f"{0:.{self.digits}f}"
        suffix = {"%": "\u202f%" if not sign else " points"}.get(
            self.unit, f" {self.unit}" if self.unit else ""
        )
        return number + (suffix if unit else "")


METRICS: Final = (
    Metric("p50_ms", "median latency", "ms", "lower", digits=2, relative_margin=0.05, absolute_margin=0.01),
    Metric("p90_ms", "90th percentile", "ms", "lower", digits=2, relative_margin=0.10, absolute_margin=0.01),
    Metric("p99_ms", "99th percentile", "ms", "lower", digits=1, relative_margin=0.15, absolute_margin=0.01),
    Metric("mean_ms", "mean latency", "ms", "lower", digits=2, relative_margin=0.05, absolute_margin=0.01),
    Metric(
        "hit_p50_ms",
        "median latency of hits",
        "ms",
        "lower",
        1,
        2,
        relative_margin=0.05,
        absolute_margin=0.01,
    ),
    Metric(
        "miss_p50_ms",
        "median latency of misses",
        "ms",
        "lower",
        1,
        2,
        relative_margin=0.05,
        absolute_margin=0.01,
    ),
    Metric("hit_ratio", "hit ratio", "%", "higher", 100, 1, absolute_margin=0.01, most=1.0),
    Metric("upstream_calls_per_1000", "upstream calls per 1,000 requests", "", "lower", absolute_margin=10.0),
    Metric(
        "upstream_reduction", "upstream calls saved", "%", "higher", 100, 1, absolute_margin=0.01, most=1.0
    ),
    Metric("error_ratio", "errors", "%", "lower", 100, 2, absolute_margin=0.001, most=1.0),
)
BY_NAME: Final = {metric.name: metric for metric in METRICS}
