"""Where the spread comes from, and so how many blocks, and how long a trial, a precision takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reports.inference.effects import Compared, Values
from reports.statistics import estimates, sequential
from scenarios.metrics import BY_NAME, DECISIVE
from scenarios.model import Scenario

# Where the requests of one trial explain more of the spread than this, longer trials help most.
_MOSTLY: Final = 0.5


@dataclass(frozen=True)
class Spread:
    """How one metric scatters, as standard deviations in its own unit.

    between: from block to block, the same for all variants of it; pairing removes it. within: what
    two trials of one block differ by, beyond their variants. sampling: the part of `within` that is
    due to a trial's finite number of requests alone (None: not known). blocks_wanted: how many blocks of such
    trials make the half width that is `wanted`. duration_wanted_s: how long trials would have to be for the
    planned blocks to make it (None: not known; infinite: no length would do, since more requests narrow
    nothing but `sampling`).
    """

    metric: str
    between: float
    within: float
    sampling: float | None
    blocks_wanted: int | None
    wanted: float
    duration_wanted_s: float | None = None

    @property
    def longer_trials_help(self) -> bool:
        """Whether longer trials narrow the intervals, rather than more blocks alone."""
        return self.sampling is not None and self.within > 0 and (self.sampling / self.within) ** 2 > _MOSTLY


def spreads(
    scenario: Scenario, values: Values, sampling: Mapping[str, Sequence[float]], compared: Sequence[Compared]
) -> list[Spread]:
    """Return the spread of each metric that decides; nothing where fewer than two blocks are whole."""
    found = []
    for metric in DECISIVE:
        table = _table(scenario, values, metric)
        if table.shape[0] < 2 or table.shape[1] < 2:
            continue
        between, within = components(table)
        wanted = _wanted(metric, scenario, float(table.mean()))
        spread = _widest(metric, compared)
        alpha = sequential.level(
            scenario.schedule.most_blocks or scenario.schedule.blocks,
            scenario.schedule.blocks,
            scenario.schedule.most_blocks,
        )
        blocks = estimates.blocks_for(spread, wanted, alpha) if spread is not None else None
        errors = sampling.get(metric)
        each = float(np.sqrt(np.mean(np.square(errors)))) if errors else None
        length_s = None
        if each is not None and spread is not None:
            length_s = duration_for(
                wanted, spread, each, scenario.schedule.blocks, scenario.schedule.duration
            )
        found.append(Spread(metric, between, within, each, blocks, wanted, length_s))
    return found


def duration_for(wanted: float, spread: float, sampling: float, blocks: int, duration_s: float) -> float:
    """Return how long trials have to be for so many blocks to make an interval of this half width.

    `spread` is the standard deviation of a pair's difference, and `sampling` each trial's part of it, with
    trials of `duration_s`. The variance of the difference is what its two trials' requests leave open, which
    falls with their number, and the rest, which stays. Infinite where the rest alone is too much.
    """
    allowed = estimates.spread_of(wanted, blocks) ** 2 if blocks > 1 else 0.0
    open_ = min(2 * sampling**2, spread**2)
    rest = spread**2 - open_
    return duration_s * open_ / (allowed - rest) if allowed > rest else float("inf")


def components(table: NDArray[np.float64]) -> tuple[float, float]:
    """Return the standard deviations between and within blocks of a blocks × variants table.

    The two-way analysis of variance without replication: E[MS residual] = σ²_within,
    E[MS blocks] = σ²_within + V·σ²_between (H. Scheffé, "The Analysis of Variance", 1959, chapter 4).
    """
    blocks, variants = table.shape
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    within = float((residual**2).sum() / ((blocks - 1) * (variants - 1)))
    of_blocks = float(variants * table.mean(axis=1).var(ddof=1))
    return float(np.sqrt(max(of_blocks - within, 0) / variants)), float(np.sqrt(within))


def _table(scenario: Scenario, values: Values, metric: str) -> NDArray[np.float64]:
    by_variant = [values[variant.id] for variant in scenario.variants]
    whole = sorted(set.intersection(*({b for b in found if metric in found[b]} for found in by_variant)))
    return np.array([[found[block][metric] for found in by_variant] for block in whole]).reshape(
        len(whole), len(by_variant)
    )


def _wanted(metric: str, scenario: Scenario, value: float) -> float:
    """Return the half width of interval that is asked for: the precision, or the margin where none is."""
    asked = scenario.precision
    share = {"p50_ms": asked.p50, "p99_ms": asked.p99, "hit_ratio": asked.hit_ratio}[metric]
    if share is None:
        return BY_NAME[metric].margin(value, scenario.margin)
    return share if metric == "hit_ratio" else share * abs(value)


def _widest(metric: str, compared: Sequence[Compared]) -> float | None:
    """Return the largest standard deviation of a paired difference."""
    found = []
    for one in compared:
        comparison = one.of(metric)
        if comparison is not None and comparison.ci95 is not None:
            low, high = comparison.ci95
            found.append(estimates.spread_of((high - low) / 2, comparison.blocks))
    return max(found) if found else None
