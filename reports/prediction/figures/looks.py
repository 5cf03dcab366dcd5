"""How topologies look in every figure of a prediction, and the axes that figures share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from reports.prediction import words
from reports.prediction.model import Prediction, Topology
from reports.render.figures.ink import MUTED, SERIES
from reports.render.figures.styles import DASHES, Dashes

_COLOURS: Final[dict[Topology, str]] = {
    "sidecar": SERIES[0],
    "separate": SERIES[1],
    "none": SERIES[2],
    "process": SERIES[3],
}
_ROUND_S: Final = (
    1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800,
)  # fmt: skip
_ROOM: Final = 0.13  # of the axis, between two marks


def colour(topology: Topology, l1_s: float = 0.0) -> str:
    """Return the colour of a topology in all figures."""
    if l1_s:
        return SERIES[4] if topology == "separate" else SERIES[5]
    return _COLOURS[topology]


def line_style(topology: Topology) -> Dashes:
    """Return the line style of a topology: in-process caches are dashed, as they often lie on sidecars."""
    return DASHES[1] if topology == "process" else DASHES[0]


def legend(figure: Figure, kinds: Sequence[tuple[Topology, float]], narrow: bool) -> None:
    """Draw the legend above a figure."""
    handles = [
        Line2D([], [], color=colour(*kind), linestyle=line_style(kind[0]), label=words.short(*kind))
        for kind in kinds
    ]
    columns = 2 if narrow else 5
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, handlelength=2, borderaxespad=0)


def ttl_marks(axis: Axes, low: float, high: float, *, upright: bool = False) -> None:
    """Mark a logarithmic axis of TTLs at round ones."""
    side = axis.yaxis if upright else axis.xaxis
    side.set_major_locator(FixedLocator(spread(_ROUND_S, low, high)))
    side.set_major_formatter(FuncFormatter(lambda value, _: words.span(value)))
    side.set_minor_locator(NullLocator())


def spread(values: Sequence[float], low: float, high: float) -> list[float]:
    """Return those of ascending values between two ends that have room beside each other."""
    inside = [float(value) for value in values if low <= value <= high] or [low]
    if high <= low:
        return inside[:1]
    return list(_apart(inside, (high / low) ** _ROOM))


def _apart(values: Sequence[float], ratio: float) -> Iterator[float]:
    last = 0.0
    for value in values:
        if value >= last * ratio:
            yield value
            last = value


def quota_line(axis: Axes, prediction: Prediction) -> None:
    """Draw the quota, where calls come near it: far above, it would flatten all curves."""
    if prediction.quota is None:
        return
    allowed = prediction.quota.calls * 3600 / prediction.quota.per_s
    low, high = axis.get_ylim()
    if not low / 3 <= allowed <= high * 3:
        return
    axis.axhline(allowed, color=MUTED, linewidth=1.2, linestyle=DASHES[1])
    axis.set_ylim(min(low, allowed * 0.9), max(high, allowed * 1.15))
    axis.annotate(
        "quota",
        (1, allowed),
        (0, 4),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
    )


def share_axis(axis: Axes) -> None:
    """Let an axis show shares, from 0 to 100%."""
    axis.set_ylim(0, 1.01)
    axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
