"""When requests are sent: open-loop arrival processes, laid out whole before the first is sent."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]


def arrivals(process: Literal["poisson", "constant"], rate: float, span_s: float, seed: int) -> Times:
    """Return the arrival times in [0, span_s), in µs from the start, in order.

    `poisson`: independent exponential gaps of mean 1/rate. `constant`: one request every 1/rate.
    """
    if process == "constant":
        # Rounded first: 0.1 + 0.2 s at 10 a second are three requests and not four.
        count = math.ceil(round(span_s * rate, 6))
        return (np.arange(count) * (1e6 / rate)).astype(np.int64)
    random = np.random.default_rng([seed, 1])
    chunks, last_s = [], 0.0
    while last_s < span_s:
        count = int((span_s - last_s) * rate * 1.05) + 100
        times_s = last_s + np.cumsum(random.exponential(1 / rate, count))
        chunks.append(times_s)
        last_s = float(times_s[-1])
    times_s = np.concatenate(chunks)
    return (times_s[times_s < span_s] * 1e6).astype(np.int64)
