"""Whether a run may end: the decision after each block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reports.inference.effects import LEAST_BLOCKS, Compared, label
from reports.statistics import estimates, sequential
from reports.summary.model import Comparison, ThresholdResult
from scenarios.metrics import BY_NAME, DECISIVE
from scenarios.model import Scenario


@dataclass(frozen=True)
class Decision:
    """Whether to stop after the blocks that are done, and why.

    `looked`: the plan of looks allowed to compare the variants now.
    """

    stop: bool
    reason: str
    blocks: int
    undecided: tuple[str, ...]
    more_blocks: int | None
    looked: bool = True


def decide(
    scenario: Scenario,
    compared: Sequence[Compared],
    done: int,
    kept: Iterable[ThresholdResult] = (),
    *,
    spent: bool = False,
    refused: str = "",
) -> Decision:
    """Say whether a run may end after so many blocks; `kept` has what its thresholds came to.

    Between the planned looks it goes on: to stop there would be one look more than the plan has paid for.
    Where its budget is `spent` it ends wherever it is. So it does where trial after trial was refused, and
    `refused` says why.
    """
    schedule = scenario.schedule
    looks = sequential.looks(schedule.blocks, schedule.most_blocks)
    open_ = list(_open(scenario, compared))
    doubtful = [result for result in kept if result.outcome == "undecided"]
    names = (
        *(f"{label(found.metric)} of {found.b} compared with {found.a}" for found in open_),
        *(f"{result.text} ({result.variant})" for result in doubtful),
    )
    more = _more(scenario, open_, doubtful)
    if done >= looks[-1]:
        return Decision(True, f"all {looks[-1]} blocks are done", done, names, more)
    following = next(look for look in looks if look > done)
    if done not in looks and not spent:
        reason = f"the next interim analysis is after block {following}"
        return Decision(False, reason, done, names, more, looked=False)
    if not names:
        return Decision(True, f"every comparison is decided after {done} blocks", done, (), None)
    said = names[0] if len(names) == 1 else f"{len(names)} comparisons, {names[0]} among them,"
    decided = not doubtful and all(found.decision != "undecided" for found in open_)
    why = f"{said} not as precise as requested" if decided else f"{said} not decided yet"
    if spent:
        budget_s = scenario.schedule.budget
        ended = f"{refused}, and so it ended" if refused else f"the budget of {budget_s:g} s was spent"
        return Decision(True, f"{ended} after {done} blocks; {why}", done, names, more)
    return Decision(False, f"{why}; the next interim analysis is after block {following}", done, names, more)


def _open(scenario: Scenario, compared: Iterable[Compared]) -> Iterator[Comparison]:
    """Yield the comparisons that the run goes on for: undecided, or less precise than was asked.

    A percentile that trials of this length cannot tell is none of them. But where no latency at all could be
    compared, none could be believed, and latencies are open; and so with counts.
    """
    for found in compared:
        of_metrics = [comparison for metric in DECISIVE if (comparison := found.of(metric)) is not None]
        compared_kinds = {BY_NAME[one.metric].kind for one in found.comparisons if one.blocks}
        for comparison in of_metrics:
            if comparison.blocks == 0 and BY_NAME[comparison.metric].kind in compared_kinds:
                continue
            if comparison.decision == "undecided" or _half_width_asked(scenario, comparison) is not None:
                yield comparison


def _half_width_asked(scenario: Scenario, comparison: Comparison) -> float | None:
    """Return the half width of interval that was asked for, where it is not reached."""
    asked = scenario.precision
    share = {"p50_ms": asked.p50, "p99_ms": asked.p99, "hit_ratio": asked.hit_ratio}[comparison.metric]
    if share is None or comparison.ci95 is None:
        return None
    half = share * (1.0 if comparison.metric == "hit_ratio" else abs(comparison.reference))
    return half if _half_width(comparison) > half else None


def _half_width(comparison: Comparison) -> float:
    low, high = comparison.ci95 or (0.0, 0.0)
    return (high - low) / 2


def _more(scenario: Scenario, open_: Sequence[Comparison], doubtful: Sequence[ThresholdResult]) -> int | None:
    """Return how many more blocks would close the last of them; None where that is out of reach."""
    wanted = [_blocks_more(scenario, found) for found in open_]
    wanted += [LEAST_BLOCKS if result.value is None else result.more_blocks for result in doubtful]
    known = [blocks for blocks in wanted if blocks is not None]
    return max(known) if known and len(known) == len(wanted) else None


def _blocks_more(scenario: Scenario, comparison: Comparison) -> int | None:
    """Return how many more blocks would decide a comparison, as precisely as was asked."""
    if comparison.blocks == 0:
        return LEAST_BLOCKS
    decided = 0 if comparison.decision != "undecided" else comparison.more_blocks
    half = _half_width_asked(scenario, comparison)
    if half is None or decided is None or half == 0:
        return decided if half is None else None
    spread = estimates.spread_of(_half_width(comparison), comparison.blocks)
    wanted = estimates.blocks_for(spread, half)
    return max(decided, wanted - comparison.blocks, 1) if wanted is not None else None
