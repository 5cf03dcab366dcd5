"""Thresholds: whether the run meets what its scenario demands, by the interval and not by the point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reports.inference.comparisons import agree
from reports.inference.effects import LEAST_BLOCKS, Values, more_blocks
from reports.statistics import estimates, sequential
from reports.statistics.estimates import Estimate
from reports.summary.model import Kept, ThresholdResult
from scenarios import thresholds
from scenarios.metrics import BY_NAME, KINDS
from scenarios.model import Scenario, Variant
from scenarios.thresholds import Side, Threshold


def judge(scenario: Scenario, values: Values, done: int, *, spent: bool = False) -> list[ThresholdResult]:
    """Judge every threshold, for each variant that it speaks of; `spent`: the budget has ended the run."""
    alpha = sequential.level(done, scenario.schedule.blocks, scenario.schedule.most_blocks, spent=spent)
    return [
        result
        for threshold in map(thresholds.parse, scenario.thresholds)
        for result in _judge(threshold, scenario, values, alpha)
    ]


def within_reach(results: Iterable[ThresholdResult], values: Values) -> list[ThresholdResult]:
    """Return the results that more blocks could change: not those of what valid trials cannot measure."""
    return [
        result
        for result in results
        if result.value is not None
        or any(name in values and not _all_stand(values[name]) for name in result.variant.split(", "))
    ]


def _all_stand(of_blocks: Mapping[int, Mapping[str, float]]) -> bool:
    """Whether counts and times of a variant could be believed, each in at least one trial."""
    known = {BY_NAME[name].kind for found in of_blocks.values() for name in found}
    return known == set(KINDS)


def _judge(
    threshold: Threshold, scenario: Scenario, values: Values, alpha: float
) -> Iterator[ThresholdResult]:
    if threshold.right is None:
        for variant in _spoken_of(threshold.left, scenario):
            metric = threshold.left.metric
            figures = [of[metric] for of in values[variant.id].values() if metric in of]
            yield _result(threshold, variant.id, estimates.mean(figures), threshold.bound or 0.0, alpha)
        return
    pairs = list(_held_together(threshold.left, threshold.right, scenario))
    for one, other in pairs:
        excess = _excess(threshold, values[one.id], values[other.id])
        names = one.id if one is other else f"{one.id}, {other.id}"
        yield _result(threshold, names, estimates.mean(excess), 0.0, alpha)
    if not pairs:  # what nothing can be said of is not kept
        yield _result(threshold, "no two variants that agree in all else", None, 0.0, alpha)


def _held_together(left: Side, right: Side, scenario: Scenario) -> Iterator[tuple[Variant, Variant]]:
    """Yield the pairs of variants that a threshold holds together.

    Two metrics of the same side are those of one variant. An id is one variant, whatever it differs in from
    the other; a topology, or no name, stands for those variants that otherwise agree.
    """
    for one in _spoken_of(left, scenario):
        if left.of == right.of:
            yield one, one
            continue
        for other in _spoken_of(right, scenario):
            if other.id != one.id and (one.id == left.of or other.id == right.of or agree(one, other)):
                yield one, other


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
    enough = estimate is not None and estimate.blocks >= LEAST_BLOCKS
    ends = estimate.interval(alpha) if estimate is not None and enough else None
    outcome: Kept = "undecided"
    if ends is not None:
        low, high = ends if threshold.at_most else (-ends[1], -ends[0])
        limit = bound if threshold.at_most else -bound
        outcome = "pass" if high <= limit else "fail" if low > limit else "undecided"
    more = None
    if outcome == "undecided" and estimate is not None:  # until the interval no longer reaches to the bound
        more = more_blocks(estimate, abs(estimate.value - bound), alpha)
    return ThresholdResult(
        text=threshold.text,
        variant=variant,
        outcome=outcome,
        value=estimate.value if estimate is not None else None,
        interval=ends,
        bound=bound,
        more_blocks=more,
    )


def _spoken_of(side: Side, scenario: Scenario) -> list[Variant]:
    return [variant for variant in scenario.variants if side.of in (None, variant.topology, variant.id)]
