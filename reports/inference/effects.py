"""Effects: one variant against another, metric by metric, paired within blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reports.inference.comparisons import Pair, pairs
from reports.statistics import estimates, sequential
from reports.statistics.estimates import Estimate
from reports.summary.model import Comparison, Decision
from reports.summary.part import Interval
from scenarios.metrics import BY_NAME, METRICS, Metric
from scenarios.model import Scenario

# The metrics of each variant's valid trials: by variant, block and metric.
Values = Mapping[str, Mapping[int, Mapping[str, float]]]
# Two differences that happen to agree make an interval of almost no width: fewer than three decide nothing.
LEAST_BLOCKS: Final = 3
# Without a cache nothing is saved, so a saving beside it is no effect of its own.
_NOT_AGAINST_NONE: Final = ("upstream_reduction",)


@dataclass(frozen=True)
class Compared:
    """A pair of variants and all that was found about it."""

    pair: Pair
    comparisons: tuple[Comparison, ...]

    def of(self, metric: str) -> Comparison | None:
        """Return the comparison of a metric, where there is one."""
        return next((found for found in self.comparisons if found.metric == metric), None)


def compare(scenario: Scenario, values: Values, done: int, *, spent: bool = False) -> tuple[Compared, ...]:
    """Hold variants against one another after so many blocks; `spent`: the budget ended the run there."""
    schedule = scenario.schedule
    alpha = sequential.level(done, schedule.blocks, schedule.most_blocks, spent=spent)
    return tuple(_compare(pair, scenario, values, alpha) for pair in pairs(scenario))


def _compare(pair: Pair, scenario: Scenario, values: Values, alpha: float) -> Compared:
    leave_out = _NOT_AGAINST_NONE if not pair.a.layout.cached else ()
    found = [
        _of_metric(pair, metric, scenario, values, alpha)
        for metric in METRICS
        if metric.name not in leave_out
    ]
    return Compared(pair, tuple(found))


def paired(values: Values, a: str, b: str, metric: str) -> list[tuple[float, float]]:
    """Return a metric of a and of b in each block that has a valid trial of both."""
    of_a, of_b = values[a], values[b]
    return [
        (of_a[block][metric], of_b[block][metric])
        for block in sorted(of_a.keys() & of_b.keys())
        if metric in of_a[block] and metric in of_b[block]
    ]


def _of_metric(pair: Pair, metric: Metric, scenario: Scenario, values: Values, alpha: float) -> Comparison:
    both = paired(values, pair.a.id, pair.b.id, metric.name)
    difference = estimates.mean([b - a for a, b in both])
    reference = sum(a for a, _ in both) / len(both) if both else 0.0
    margin = metric.margin(reference, scenario.margin)
    enough = difference is not None and len(both) >= LEAST_BLOCKS
    ends = difference.interval(alpha) if difference is not None and enough else None
    word = decide(metric, ends, margin)
    spread = difference.spread if difference is not None else None
    return Comparison(
        metric=metric.name,
        a=pair.a.id,
        b=pair.b.id,
        difference=difference.value if difference else None,
        ci95=difference.interval() if difference else None,
        decision_ci=ends,
        better={"better": pair.b.id, "worse": pair.a.id}.get(word),
        decision=word,
        reference=reference,
        margin=margin,
        blocks=len(both),
        more_blocks=_undecided(difference, margin, alpha) if word == "undecided" and difference else None,
        detectable=estimates.detectable(spread, len(both), alpha) if spread is not None else None,
    )


def decide(metric: Metric, ends: Interval | None, margin: float) -> Decision:
    """Say how b does against a, given the interval of b − a.

    Equivalent: the whole interval lies within the margin (the two one-sided tests of D. J. Schuirmann,
    1987, at the stricter two-sided level). Better or worse: it excludes zero.
    """
    if ends is None:
        return "undecided"
    low, high = ends
    if -margin <= low and high <= margin:
        return "equivalent"
    if low > 0:
        return "better" if metric.better == "higher" else "worse"
    if high < 0:
        return "better" if metric.better == "lower" else "worse"
    return "undecided"


def _undecided(difference: Estimate, margin: float, alpha: float) -> int | None:
    """Return how many more blocks would decide a difference; None: too many.

    The interval decides once its half width is at most |d| (zero is excluded), or at most margin − |d|
    (all of it is within the margin), whichever comes first.
    """
    return more_blocks(difference, max(abs(difference.value), margin - abs(difference.value)), alpha)


def more_blocks(estimate: Estimate, half: float, alpha: float) -> int | None:
    """Return how many more blocks make an interval of this half width, were mean and spread to stay.

    At least one: it is asked of what so many blocks have not decided. None: too many.
    """
    if estimate.spread is None:
        return LEAST_BLOCKS - estimate.blocks
    wanted = estimates.blocks_for(estimate.spread, half, alpha)
    return max(max(wanted, LEAST_BLOCKS) - estimate.blocks, 1) if wanted is not None else None


def label(metric: str) -> str:
    """Return what people call a metric."""
    return BY_NAME[metric].label
