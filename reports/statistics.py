"""Estimates over blocks: a mean, and Student's interval around it.

Blocks are few (3 to 30) and each gives one figure per variant, itself an average or a quantile of
thousands of requests, so that Student's t over blocks is close to exact, where the bootstrap over so
few blocks is known to be too narrow (docs/statistics.md has the comparison).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean over blocks; the interval is None where fewer than two blocks stand behind it."""

    value: float
    low: float | None
    high: float | None
    blocks: int
    spread: float | None = None

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Both ends of the interval, or None."""
        return (self.low, self.high) if self.low is not None and self.high is not None else None


def mean(
    values: Sequence[float], alpha: float = 0.05, least: float | None = None, most: float | None = None
) -> Estimate | None:
    """Return the mean of one figure per block with its two-sided interval at level 1 − alpha.

    `least` and `most` are what the quantity cannot leave. None where there are no values.
    """
    if not values:
        return None
    sample = np.asarray(values, dtype=np.float64)
    centre = float(sample.mean())
    if sample.size < 2:
        return Estimate(centre, None, None, 1)
    spread = float(sample.std(ddof=1))
    half = half_width(spread, sample.size, alpha)
    low, high = centre - half, centre + half
    low = low if least is None else max(low, least)
    high = high if most is None else min(high, most)
    return Estimate(centre, low, high, int(sample.size), spread)


def half_width(spread: float, blocks: int, alpha: float = 0.05) -> float:
    """Return half the width of Student's interval, given the standard deviation between blocks."""
    return float(stats.t.ppf(1 - alpha / 2, blocks - 1)) * spread / float(np.sqrt(blocks))
