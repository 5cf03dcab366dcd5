"""Thresholds: whether the run keeps to what its scenario demands, by the interval and not by the point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reports import sequential, statistics
from reports.comparisons import agree
from reports.effects import Values
from reports.statistics import Estimate
from reports.summary import Kept, ThresholdResult
from scenarios import thresholds
from scenarios.model import Scenario, Variant
from scenarios.thresholds import Side, Threshold


def judge(scenario: Scenario, values: Values, done: int) -> list[ThresholdResult]:
    """Judge every threshold of the scenario, for each variant that it speaks of."""
    alpha = sequential.level(done, scenario.schedule.blocks, scenario.schedule.most_blocks)
    return [
        result
        for threshold in map(thresholds.parse, scenario.thresholds)
        for result in _judge(threshold, scenario, values, alpha)
    ]


def _judge(
    threshold: Threshold, scenario: Scenario, values: Values, alpha: float
) -> Iterator[ThresholdResult]:
    for variant in _spoken_of(threshold.left, scenario):
        metric = threshold.left.metric
        if threshold.right is None:
            figures = [of[metric] for of in values[variant.id].values() if metric in of]
            yield _result(threshold, variant.id, statistics.mean(figures), threshold.bound or 0.0, alpha)
            continue
        for other in _spoken_of(threshold.right, scenario):
            if other.id != variant.id and agree(variant, other):
                excess = _excess(threshold, values[variant.id], values[other.id])
                names = f"{variant.id}, {other.id}"
                yield _result(threshold, names, statistics.mean(excess), 0.0, alpha)


def _excess(
    threshold: Threshold, left: Mapping[int, Mapping[str, float]], right: Mapping[int, Mapping[str, float]]
) -> Sequence[float]:
    """Return left − factor × right of each block that has both."""
    if threshold.right is None:
        return []
    metric, other = threshold.left.metric, threshold.right.metric
    return [
        left[block][metric] - threshold.factor * right[block][other]
        for block in sorted(left.keys() & right.keys())
        if metric in left[block] and other in right[block]
    ]


def _result(
    threshold: Threshold, variant: str, estimate: Estimate | None, bound: float, alpha: float
) -> ThresholdResult:
    ends = estimate.interval(alpha) if estimate is not None else None
    outcome: Kept = "undecided"
    if ends is not None:
        low, high = ends if threshold.at_most else (-ends[1], -ends[0])
        limit = bound if threshold.at_most else -bound
        outcome = "pass" if high <= limit else "fail" if low > limit else "undecided"
    return ThresholdResult(
        text=threshold.text,
        variant=variant,
        outcome=outcome,
        value=estimate.value if estimate is not None else None,
        interval=ends,
        bound=bound,
    )


def _spoken_of(side: Side, scenario: Scenario) -> list[Variant]:
    return [variant for variant in scenario.variants if side.of in (None, variant.topology, variant.id)]
