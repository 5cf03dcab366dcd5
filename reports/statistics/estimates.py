"""Estimates over blocks: a mean, Student's interval around it, and what more blocks would bring.

Blocks are few (3 to 30) and each gives one figure per variant, itself an average or a quantile of
thousands of requests, so that Student's t over blocks is close to exact, where the bootstrap over so
few blocks is known to be too narrow (docs/statistics.md has the comparison).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

MOST_BLOCKS: Final = 2000
POWER: Final = 0.8


@dataclass(frozen=True)
class Estimate:
    """A mean over blocks and the standard deviation between them; None where there is one block."""

    value: float
    blocks: int
    spread: float | None

    def interval(
        self, alpha: float = 0.05, least: float | None = None, most: float | None = None
    ) -> tuple[float, float] | None:
        """Return the two-sided interval at level 1 − alpha.

        `least` and `most` are what the quantity cannot leave. None where there is no spread to judge by.
        """
        if self.spread is None:
            return None
        half = half_width(self.spread, self.blocks, alpha)
        low, high = self.value - half, self.value + half
        return (low if least is None else max(low, least), high if most is None else min(high, most))


def mean(values: Sequence[float]) -> Estimate | None:
    """Return the mean of one figure per block; None where there are no figures."""
    if len(values) == 0:
        return None
    sample = np.asarray(values, dtype=np.float64)
    spread = float(sample.std(ddof=1)) if sample.size > 1 else None
    return Estimate(float(sample.mean()), int(sample.size), spread)


def half_width(spread: float, blocks: int, alpha: float = 0.05) -> float:
    """Return half the width of Student's interval, given the standard deviation between blocks."""
    return _quantile(1 - alpha / 2, blocks - 1) * spread / math.sqrt(blocks)


def spread_of(half: float, blocks: int, alpha: float = 0.05) -> float:
    """Return the standard deviation between blocks of which `half_width` makes this half width."""
    return half * math.sqrt(blocks) / _quantile(1 - alpha / 2, blocks - 1)


def detectable(spread: float, blocks: int, alpha: float = 0.05) -> float:
    """Return the smallest true difference that so many blocks would have detected with 80% power."""
    quantiles = _quantile(1 - alpha / 2, blocks - 1) + _quantile(POWER, blocks - 1)
    return quantiles * spread / math.sqrt(blocks)


def blocks_for(spread: float, half: float, alpha: float = 0.05) -> int | None:
    """Return how many blocks make an interval of this half width; None where none of up to 2,000 do."""
    reached = _half_widths(alpha) * spread <= half
    return int(reached.argmax()) + 2 if reached.any() else None


@lru_cache(maxsize=4096)
def _quantile(at: float, freedom: int) -> float:
    return float(stats.t.ppf(at, freedom))


@lru_cache(maxsize=64)
def _half_widths(alpha: float) -> NDArray[np.float64]:
    """Return the half width, in standard deviations, of the interval over 2, 3, … blocks."""
    blocks = np.arange(2, MOST_BLOCKS + 1)
    widths: NDArray[np.float64] = stats.t.ppf(1 - alpha / 2, blocks - 1) / np.sqrt(blocks)
    return widths


def quantile_error(sample: NDArray[np.int64], at: float) -> float:
    """Return the standard error of a sample's quantile, from the order statistics about it.

    Half the distance between the order statistics one binomial standard deviation below and above.
    """
    ordered = np.sort(sample)
    middle, off = ordered.size * at, np.sqrt(ordered.size * at * (1 - at))
    low, high = (int(np.clip(np.floor(middle + sign * off), 0, ordered.size - 1)) for sign in (-1, 1))
    return float(ordered[high] - ordered[low]) / 2
