"""The metrics that variants are compared by: their names, units, which way is better, what matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from scenarios.schedule import Margin

# What a metric is made of, and a gate protects. counts: hit ratios, upstream calls, errors. times: latencies.
Kind = Literal["counts", "times"]
KINDS: Final[tuple[Kind, ...]] = ("counts", "times")
Direction = Literal["lower", "higher"]
# Whose margin holds: a share of the value (p50, p99), or absolute (points, per 1,000, errors).
Matter = Literal["p50", "p99", "points", "per 1,000", "errors"]
# Two latencies closer than this are the same to anyone (ms).
_LATENCY_FLOOR: Final = 0.01
_ERRORS: Final = 0.001


@dataclass(frozen=True)
class Metric:
    """One metric of summary.json. `shown` is how many of `unit` one of the stored unit is."""

    name: str
    label: str
    unit: str
    better: Direction
    matter: Matter
    shown: float = 1.0
    digits: int = 1
    most: float | None = None

    @property
    def kind(self) -> Kind:
        """What the metric is made of, and so which gates protect it: counts, or times."""
        return "times" if self.unit == "ms" else "counts"

    def margin(self, reference: float, margin: Margin) -> float:
        """Return the smallest difference that matters, beside a reference value, in the stored unit."""
        if self.matter == "p50":
            return max(margin.p50 * abs(reference), _LATENCY_FLOOR)
        if self.matter == "p99":
            return max(margin.p99 * abs(reference), _LATENCY_FLOOR)
        return {"points": margin.hit_ratio, "per 1,000": 1000 * margin.hit_ratio, "errors": _ERRORS}[
            self.matter
        ]

    def text(self, value: float | None, *, sign: bool = False, unit: bool = True) -> str:
        """Show a value for people: `0.42 ms`, `+3.1 points`."""
        if value is None:
            return "–"
        number = f"{value * self.shown:{'+' if sign else ''},.{self.digits}f}".replace("-", "−")
        if float(f"{value * self.shown:.{self.digits}f}") == 0:
            number = f"{0:.{self.digits}f}"
        if self.unit == "%":
            suffix = " points" if sign else "\u202f%"
        else:
            suffix = f" {self.unit}" if self.unit else ""
        return number + (suffix if unit else "")


METRICS: Final = (
    Metric("p50_ms", "median latency", "ms", "lower", "p50", digits=2),
    Metric("p90_ms", "90th percentile", "ms", "lower", "p99", digits=2),
    Metric("p99_ms", "99th percentile", "ms", "lower", "p99"),
    Metric("mean_ms", "mean latency", "ms", "lower", "p50", digits=2),
    Metric("hit_p50_ms", "median latency of hits", "ms", "lower", "p50", digits=2),
    Metric("miss_p50_ms", "median latency of misses", "ms", "lower", "p50", digits=2),
    Metric("hit_ratio", "hit ratio", "%", "higher", "points", 100, most=1.0),
    Metric("upstream_calls_per_1000", "upstream calls per 1,000 requests", "", "lower", "per 1,000"),
    Metric("upstream_reduction", "upstream calls saved", "%", "higher", "points", 100, most=1.0),
    Metric("error_ratio", "errors", "%", "lower", "errors", 100, 2, most=1.0),
)
BY_NAME: Final = {metric.name: metric for metric in METRICS}
# A run that adds blocks goes on until these are decided.
DECISIVE: Final = ("p50_ms", "p99_ms", "hit_ratio")
