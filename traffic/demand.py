"""How often each key is requested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Keys

Array = NDArray[np.float64]
_ALONE: Final = 2000


@dataclass(frozen=True)
class Demand:
    """Request rates of keys (per second, all replicas together), each the rate of `counts` keys."""

    rates: Array
    counts: Array

    @classmethod
    def of(cls, keys: Keys, rate: float) -> Demand:
        """Return the demand of a scenario's keys at a total rate (requests per second)."""
        if keys.distribution == "uniform" or keys.exponent == 0:
            return cls(np.array([rate / keys.count]), np.array([float(keys.count)]))
        weights = np.arange(1, keys.count + 1, dtype=np.float64) ** -keys.exponent
        starts = _groups(keys.count)
        counts = np.diff(starts, append=keys.count).astype(np.float64)
        return cls(rate * np.add.reduceat(weights, starts) / weights.sum() / counts, counts)

    @property
    def total(self) -> float:
        """All requests per second."""
        return float(self.rates @ self.counts)


def _groups(count: int) -> NDArray[np.int64]:
    """Return where groups of ranks begin that may share one rate: each rank by itself, then 1% of the rank.

    Within a group the rates differ by less than 1%, which changes the expected calls by less than 0.001%.
    """
    tail = np.exp(np.arange(np.log(_ALONE), np.log(max(count, _ALONE)), 0.01)).astype(np.int64)
    starts: NDArray[np.int64] = np.unique(np.concatenate([np.arange(min(count, _ALONE)), tail]))
    return starts[starts < count]
