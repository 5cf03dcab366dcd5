"""Where a logarithmic axis is marked: at round values, as many as have room."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

from matplotlib.ticker import MaxNLocator

_ROOM: Final = 0.16  # of the axis, between two marks: what a label takes on the narrow page
# Round values of a decade, densest first; and decades left out, where even those are too many.
_ROUND: Final = (
    ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0), 1),
    ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), 1),
    ((1.0, 2.0, 5.0), 1),
    ((1.0, 3.0), 1),
    ((1.0,), 1),
    ((1.0,), 2),
    ((1.0,), 3),
)
_FEWEST: Final = 2  # one mark tells no scale


def logarithmic(low: float, high: float) -> list[float]:
    """Return the values to mark between two positive ends, ascending.

    Where the ends are so close that round values do not tell a scale, the marks are evenly spaced instead.
    """
    span = math.log10(high / low)
    for mantissas, stride in _ROUND:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        marks = [
            value
            for power in range(first, last + 1)
            if power % stride == 0
            for mantissa in mantissas
            if low <= (value := float(f"{mantissa}e{power}")) <= high
        ]
        if len(marks) >= _FEWEST and all(math.log10(b / a) >= _ROOM * span for a, b in pairwise(marks)):
            return marks
    return [float(value) for value in MaxNLocator(4).tick_values(low, high) if low <= value <= high]
