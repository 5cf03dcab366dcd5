"""Maps: where sidecars answer sooner on average, and where a separate Redis does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from reports.prediction import grid, words
from reports.prediction.figures.looks import ttl_marks
from reports.prediction.grid import At, Link
from reports.prediction.model import Prediction, Topology
from reports.render.figures import ticks
from reports.render.figures.ink import INK, MUTED, SHADES, Picture, canvas, picture

# A difference of so much of the smaller mean has the next shade; below the first there is no colour.
_BOUNDS: Final = (0.002, 0.02, 0.10, 0.30)
_SIZES: Final = ("under 2%", "2 to 10%", "10 to 30%", "over 30%")
_SHADES: Final[dict[Topology, Sequence[str]]] = {"sidecar": SHADES[0], "separate": SHADES[1]}
_ACROSS: Final = 33
_LEGEND_PX: Final = 50

Array = NDArray[np.float64]


def maps(prediction: Prediction) -> Picture:
    """Draw the difference in mean latency over TTL × replicas, and over round trip × upstream latency."""
    counts, links = over_grid(prediction), over_links(prediction)
    times = prediction.times

    def draw(narrow: bool) -> Figure:
        figure, (left, right) = canvas(
            narrow,
            (2 * 280 + 2 * _LEGEND_PX if narrow else 330 + _LEGEND_PX),
            *((2, 1) if narrow else (1, 2)),
        )
        _over_grid(left, prediction, counts)
        _over_links(right, links, (times.rtt_ms, times.upstream_ms))
        _legend(figure, narrow)
        return figure

    own = prediction.own
    return picture(
        "maps",
        "Who has the lower mean latency, and by how much of it. The cross is your setting. Left: at your "
        f"round trip of {words.given_ms(times.rtt_ms)} and upstream latency of "
        f"{words.given_ms(times.upstream_ms)}. Right: with {own.replicas} "
        f"{'replica' if own.replicas == 1 else 'replicas'} and a TTL of {words.span(own.ttl_s)}; "
        "which requests hit is taken as at your upstream latency.",
        "Two maps that show which topology has the lower mean latency, over TTL and replicas and over round "
        "trip and upstream latency; the tables below hold the differences.",
        draw,
    )


def over_grid(prediction: Prediction) -> Array:
    """Return sidecars' mean latency less that of a separate Redis, over the smaller one; rows by TTL."""
    table, link = prediction.grid, grid.own_link(prediction)
    return np.array([
        [difference(prediction, At(row, column), link) for column in range(len(table.replicas))]
        for row in range(len(table.ttl_s))
    ])  # fmt: skip


def over_links(prediction: Prediction) -> tuple[Array, Array, Array]:
    """Return round trips, upstream latencies and the difference: rows by upstream latency."""
    times = prediction.times
    rtts = np.geomspace(*_around(times.rtt_ms or 0.1), _ACROSS)
    upstreams = np.geomspace(*_around(times.upstream_ms or 1.0), _ACROSS)
    x, y = np.meshgrid(rtts, upstreams)
    sidecar, separate = (_plane(prediction, topology, x, y) for topology in ("sidecar", "separate"))
    return rtts, upstreams, (sidecar - separate) / np.minimum(sidecar, separate)


def _plane(prediction: Prediction, topology: Topology, rtts: Array, upstreams: Array) -> Array:
    """Return a topology's mean latencies at its own place: they are linear in both coordinates."""
    series, own = grid.series_of(prediction, topology), grid.own_place(prediction)
    origin, rtt, upstream = (
        grid.mean_ms(prediction, series, own, Link(*at)) for at in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    )
    if origin is None or rtt is None or upstream is None:
        return np.full(rtts.shape, np.nan)
    return origin + (rtt - origin) * rtts + (upstream - origin) * upstreams


def difference(prediction: Prediction, at: At, link: Link) -> float:
    """Return the difference of the means over the smaller one; NaN where one cannot serve the traffic."""
    sidecar, separate = (
        grid.mean_ms(prediction, grid.series_of(prediction, topology), at, link)
        for topology in ("sidecar", "separate")
    )
    if sidecar is None or separate is None:
        return float("nan")
    return (sidecar - separate) / min(sidecar, separate)


def _around(value: float) -> tuple[float, float]:
    return value / 10, value * 10


def _over_grid(axis: Axes, prediction: Prediction, found: Array) -> None:
    ttls, replicas = prediction.grid.ttl_s, prediction.grid.replicas
    own = grid.own_place(prediction)
    x, y = _edges(ttls), np.arange(len(replicas) + 1, dtype=np.float64) - 0.5
    axis.set_xscale("log")
    _cells(axis, x, y, found.T)
    ttl_marks(axis, ttls[0], ttls[-1])
    step = -(-len(replicas) // 10)
    axis.set_yticks(range(0, len(replicas), step), [str(count) for count in replicas[::step]])
    axis.set_xlabel("TTL")
    axis.set_ylabel("replicas")
    axis.set_title("TTL × replicas")
    _cross(axis, ttls[own.row], own.column)


def _over_links(axis: Axes, found: tuple[Array, Array, Array], own: tuple[float, float]) -> None:
    rtts, upstreams, differences = found
    axis.set_xscale("log")
    axis.set_yscale("log")
    levels = [-np.inf, *(-bound for bound in reversed(_BOUNDS)), *_BOUNDS, np.inf]
    colours = [*reversed(_SHADES["sidecar"]), "none", *_SHADES["separate"]]
    axis.contourf(rtts, upstreams, differences, levels, colors=colours)
    axis.grid(visible=False)
    axis.yaxis.set_tick_params(labelcolor=MUTED)
    for side, values in ((axis.xaxis, rtts), (axis.yaxis, upstreams)):
        side.set_major_locator(FixedLocator(ticks.logarithmic(float(values[0]), float(values[-1]))))
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ms"))
        side.set_minor_locator(NullLocator())
    axis.set_xlabel("round trip to a separate Redis")
    axis.set_ylabel("upstream latency")
    axis.set_title("Round trip × upstream latency")
    _cross(axis, *own)


def _edges(values: Sequence[float] | Array) -> Array:
    """Return the ends of cells around values, halfway between them on a logarithmic scale."""
    logs = np.log(np.asarray(values, float))
    middles = (logs[1:] + logs[:-1]) / 2
    half = (middles[0] - logs[0], logs[-1] - middles[-1]) if logs.size > 1 else (0.5, 0.5)
    return np.asarray(np.exp(np.concatenate([[logs[0] - half[0]], middles, [logs[-1] + half[1]]])))


def _cells(axis: Axes, x: Array, y: Array, found: Array) -> None:
    """Fill cells by who is lower and by how much. Neighbours of one shade in a row are one rectangle."""
    by_look: dict[str, list[Rectangle]] = {}
    for row in range(found.shape[0]):
        looks = [_look(value) for value in found[row]]
        begin = 0
        for column in range(1, len(looks) + 1):
            if column < len(looks) and looks[column] == looks[begin]:
                continue
            if (look := looks[begin]) is not None:
                size = x[column] - x[begin], y[row + 1] - y[row]
                by_look.setdefault(look, []).append(Rectangle((x[begin], y[row]), *size))
            begin = column
    for face, cells in by_look.items():  # each has an edge of its own colour, or paper shows between them
        axis.add_collection(PatchCollection(cells, facecolor=face, edgecolor=face, linewidth=0.8))
    axis.set_xlim(x[0], x[-1])
    axis.set_ylim(y[0], y[-1])
    axis.grid(visible=False)
    axis.yaxis.set_tick_params(labelcolor=MUTED)


def _look(value: float) -> str | None:
    if np.isnan(value) or abs(value) < _BOUNDS[0]:
        return None
    shade = sum(abs(value) >= bound for bound in _BOUNDS) - 1
    return _SHADES["sidecar" if value < 0 else "separate"][shade]


def _cross(axis: Axes, x: float, y: float) -> None:
    axis.plot([x], [y], marker="+", markersize=14, markeredgewidth=2, color=INK)


def _legend(figure: Figure, narrow: bool) -> None:
    handles = [
        Patch(facecolor=shade, label=f"{words.short(topology)}, {size}")
        for topology, shades in _SHADES.items()
        for shade, size in zip(shades, _SIZES, strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=2 if narrow else 4, handlelength=1.2, borderaxespad=0
    )
