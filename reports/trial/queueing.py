"""How long requests wait behind others, told from a trial's own rows.

A hit that comes while nobody else's work is under way waits for nothing. How much longer the mean hit takes
than such a one is what waiting behind others costs. Arrivals that do not know of one another find a system
busy as often as it is (R. W. Wolff, "Poisson Arrivals See Time Averages", Operations Research 30, 1982), so
that those that find it idle are hits like any other, but for the wait; and as every request is queued on its
arrival alike, what hits wait is what requests wait.

When a request that is no hit keeps the stack busy is not in the rows: most of its time it waits for the
upstream. It is taken to do so for `NEAR_US` after it was sent, and as long before and after its answer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NEAR_US: Final = 2000
# The mean of fewer undisturbed hits says little.
LEAST_IDLE: Final = 30

Times = NDArray[np.int64]


def wait_ms(rows: pd.DataFrame, measured: NDArray[np.bool_]) -> float | None:
    """Return the mean time for which requests wait behind others on their arrival (ms).

    `rows` are all of a trial's; the hits among those `measured` are judged. None where too few of them found
    nobody else's work under way. By chance it may be a little below zero.
    """
    sent = rows["sent_us"].to_numpy()
    end = rows["end_us"].to_numpy()
    hit = (rows["outcome"] == "hit").to_numpy()
    judged = hit & measured
    idle = judged & ~_busy(sent, end, hit)
    if idle.sum() < LEAST_IDLE:
        return None
    service_us = end - sent
    return float(service_us[judged].mean() - service_us[idle].mean()) / 1000


def _busy(sent: Times, end: Times, hit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether others' work was under way when each request was sent."""
    hits_under_way = _before(sent[hit], sent) - _before(end[hit], sent) - hit
    called = ~hit
    just_sent = _between(sent[called], sent - NEAR_US, sent) - called
    answered = _between(end[called], sent - NEAR_US, sent + NEAR_US)
    return (hits_under_way > 0) | (just_sent > 0) | (answered > 0)


def _before(times: Times, at: Times) -> NDArray[np.intp]:
    """Count the times up to each moment."""
    return np.searchsorted(np.sort(times), at, side="right")


def _between(times: Times, begin: Times, end: Times) -> NDArray[np.intp]:
    return _before(times, end) - _before(times, begin)
