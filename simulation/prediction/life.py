"""Deployments and crashes: when caches begin empty again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.prediction.routing import Replicas
from simulation.prediction.stream import Integers

DAY_S: Final = 86_400.0
STEP_S: Final = 60.0  # from one replica's replacement to the next one's


@dataclass(frozen=True)
class Life:
    """Rolling deployments at these times (µs): replica r is replaced `r * step_us` later, at once.

    A call that is under way when its cache is emptied is not kept.
    """

    deployed_us: tuple[int, ...] = ()
    step_us: int = round(STEP_S * 1e6)

    @classmethod
    def regular(cls, per_day: float, span_us: int, replicas: int, step_s: float = STEP_S) -> Life:
        """Return so many deployments a day at equal distances, the first after half of one."""
        if per_day <= 0:
            return cls()
        every_us = DAY_S * 1e6 / per_day
        times = np.arange(every_us / 2, span_us, every_us).astype(np.int64)
        return cls(tuple(times.tolist()), round(min(step_s * 1e6, every_us / replicas)))

    def restarts(self, replicas: int) -> list[tuple[int, int]]:
        """Return when each replica is replaced, in order of time: (µs, which)."""
        return sorted(
            (at_us + replica * self.step_us, replica)
            for at_us in self.deployed_us
            for replica in range(replicas)
        )

    def generations(self, at_us: Integers, replicas: Replicas) -> NDArray[np.int32]:
        """Return how often each request's replica was replaced before it."""
        began_us = at_us - replicas.astype(np.int64) * self.step_us
        return np.searchsorted(np.array(self.deployed_us, np.int64), began_us, side="right").astype(np.int32)
