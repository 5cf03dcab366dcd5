"""Whether a run may end: the decision after each block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reports import sequential
from reports.effects import Compared, label
from reports.metrics import DECISIVE
from reports.summary import Comparison
from scenarios.model import Scenario


@dataclass(frozen=True)
class Decision:
    """Whether to stop after the blocks that are done, and why."""

    stop: bool
    reason: str
    blocks: int
    undecided: tuple[str, ...]
    more_blocks: int | None


def decide(scenario: Scenario, compared: Sequence[Compared], done: int) -> Decision:
    """Say whether a run may end after so many blocks.

    Between the planned looks it goes on: to stop there would be one look more than the plan has paid for.
    """
    schedule = scenario.schedule
    looks = sequential.looks(schedule.blocks, schedule.most_blocks)
    open_ = list(_open(scenario, compared))
    names = tuple(f"{label(found.metric)} of {found.b} against {found.a}" for found in open_)
    more = _more(open_)
    if done >= looks[-1]:
        return Decision(True, f"all {looks[-1]} blocks are done", done, names, more)
    following = next(look for look in looks if look > done)
    if done not in looks:
        return Decision(False, f"the next look is after block {following}", done, names, more)
    if not open_:
        return Decision(True, f"every comparison is decided after {done} blocks", done, (), None)
    said = names[0] if len(names) == 1 else f"{len(names)} comparisons, {names[0]} among them,"
    return Decision(
        False, f"{said} not decided yet; the next look is after block {following}", done, names, more
    )


def _open(scenario: Scenario, compared: Iterable[Compared]) -> Iterator[Comparison]:
    """Yield the comparisons that the run goes on for: undecided, or less precise than was asked."""
    for found in compared:
        for metric in DECISIVE:
            comparison = found.of(metric)
            if comparison is None or comparison.blocks == 0:
                continue
            if comparison.decision == "undecided" or not _precise(scenario, comparison):
                yield comparison


def _precise(scenario: Scenario, comparison: Comparison) -> bool:
    asked = scenario.precision
    share = {"p50_ms": asked.p50, "p99_ms": asked.p99, "hit_ratio": asked.hit_ratio}[comparison.metric]
    if share is None or comparison.ci95 is None:
        return share is None
    scale = 1.0 if comparison.metric == "hit_ratio" else comparison.reference
    return (comparison.ci95[1] - comparison.ci95[0]) / 2 <= share * abs(scale)


def _more(open_: Sequence[Comparison]) -> int | None:
    """Return how many blocks would decide the last of them; None where that is out of reach."""
    if not open_ or any(found.decision == "undecided" and found.more_blocks is None for found in open_):
        return None
    return max((found.more_blocks or 1) for found in open_)
