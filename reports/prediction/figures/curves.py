"""Curves over TTL, replicas and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from reports.prediction import explorer, grid, words
from reports.prediction.figures.looks import (
    colour,
    legend,
    line_style,
    quota_line,
    share_axis,
    spread,
    ttl_marks,
)
from reports.prediction.grid import At
from reports.prediction.model import Prediction, Series
from reports.render.figures import ticks
from reports.render.figures.ink import MUTED, Picture, canvas, picture
from reports.render.figures.styles import DASHES

_MOST_COUNTS: Final = 4  # numbers of replicas beside the own one
_LEGEND_PX: Final = 30


def counts_shown(prediction: Prediction) -> list[int]:
    """Return the columns of the grid that have curves of their own beside the own one: few, spread evenly."""
    own = grid.own_place(prediction).column
    others = [column for column in range(len(prediction.grid.replicas)) if column != own]
    if len(others) <= _MOST_COUNTS:
        return others
    step = (len(others) - 1) / (_MOST_COUNTS - 1)
    return sorted({others[round(number * step)] for number in range(_MOST_COUNTS)})


def over_ttl(prediction: Prediction) -> Picture:
    """Draw calls in the busiest hour and the hit ratio over TTL, for several numbers of replicas."""
    own = grid.own_place(prediction)

    def draw(narrow: bool) -> Figure:
        figure, (calls, hits) = _panels(prediction, narrow)
        for axis, value in ((calls, _busiest), (hits, _hit_ratio)):
            _ttl_curves(axis, prediction, value, own)
            _ttl_axis(axis, prediction, own.row)
        _calls_axis(calls, prediction)
        calls.set_title(f"Upstream calls {explorer.when(prediction)}")
        share_axis(hits)
        hits.set_title("Hit ratio")
        return figure

    return picture(
        "over-ttl",
        f"Over the TTL. Thick: with {_replicas(prediction, own.column)}. Thin: sidecars with the number of "
        "replicas on the line. Dotted: your TTL.",
        "Two panels over the TTL, calls in the busiest hour and hit ratio, a curve for each topology; the "
        "table below holds the figures.",
        draw,
    )


def over_replicas(prediction: Prediction) -> Picture:
    """Draw calls in the busiest hour and the mean latency over the number of replicas."""
    own = grid.own_place(prediction)
    link = grid.own_link(prediction)

    def mean(found: Prediction, series: Series, at: At) -> float | None:
        return grid.mean_ms(found, series, at, link)

    def draw(narrow: bool) -> Figure:
        figure, (calls, means) = _panels(prediction, narrow)
        values = prediction.grid.replicas
        for axis, value in ((calls, _busiest), (means, mean)):
            for series in _drawn(prediction):
                each = [value(prediction, series, At(own.row, column)) for column in range(len(values))]
                _line(axis, values, each, series, marker="o", markersize=4)
            axis.axvline(values[own.column], color=MUTED, linewidth=1, linestyle=DASHES[2])
            axis.xaxis.set_major_locator(MaxNLocator(6 if narrow else 8, integer=True))
            axis.set_xlabel("replicas")
        calls.set_ylim(bottom=0)
        quota_line(calls, prediction)
        calls.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        calls.set_title(f"Upstream calls {explorer.when(prediction)}")
        means.set_ylim(bottom=0)
        means.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ms"))
        means.set_title("Mean latency")
        return figure

    return picture(
        "over-replicas",
        f"Over the number of replicas, at a TTL of {words.span(prediction.grid.ttl_s[own.row])}. Dotted: "
        "your number. Where a curve of the latency is missing, so few replicas cannot serve the busiest "
        "hour.",
        "Two panels over the number of replicas, calls in the busiest hour and mean latency, a curve for "
        "each topology; the table below holds the figures.",
        draw,
    )


def over_memory(prediction: Prediction) -> Picture | None:
    """Draw the hit ratio and all calls over the memory of all caches; None where it was not computed."""
    if len(prediction.memory) < 2:
        return None
    topologies = [series.topology for series in grid.cached(prediction) if not series.l1_s]
    shown = [topology for topology in topologies if topology in prediction.memory[0].hit_ratio]
    sizes = [point.maxmemory for point in prediction.memory]

    def draw(narrow: bool) -> Figure:
        figure, (hits, calls) = _panels(prediction, narrow)
        for topology in shown:
            look: dict[str, Any] = {"color": colour(topology), "marker": "o", "markersize": 4}
            hits.plot(sizes, [point.hit_ratio[topology] for point in prediction.memory], **look)
            calls.plot(sizes, [point.upstream_calls[topology] for point in prediction.memory], **look)
        for axis in (hits, calls):
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(FixedLocator(spread(sizes, sizes[0], sizes[-1])))
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words.memory(value)))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xlabel("memory of all caches together")
        share_axis(hits)
        hits.set_title("Hit ratio")
        calls.set_ylim(bottom=0)
        calls.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        calls.set_title("Upstream calls, all traffic")
        return figure

    return picture(
        "over-memory",
        "Over the memory of all caches together. Sidecars share it: of N sidecars each has one N-th, and "
        "keeps copies that the others have, too.",
        "Two panels over memory, hit ratio and upstream calls, a curve for each topology; the table below "
        "holds the figures.",
        draw,
    )


def _panels(prediction: Prediction, narrow: bool) -> tuple[Figure, list[Axes]]:
    figure, axes = canvas(narrow, (2 * 240 if narrow else 290) + _LEGEND_PX, *((2, 1) if narrow else (1, 2)))
    for axis in axes:
        axis.yaxis.set_tick_params(labelcolor=MUTED)
    legend(figure, [(series.topology, series.l1_s) for series in _drawn(prediction)], narrow)
    return figure, axes


def _drawn(prediction: Prediction) -> list[Series]:
    """Return the series with a cache, dashed ones last: they are seen on top of others."""
    return sorted(grid.cached(prediction), key=lambda series: series.topology == "process")


Value = Callable[[Prediction, Series, At], float | None]


def _busiest(_: Prediction, series: Series, at: At) -> float:
    return series.busiest[at.row][at.column]


def _hit_ratio(prediction: Prediction, series: Series, at: At) -> float:
    return grid.hit_ratio(prediction, series, at)


def _ttl_curves(axis: Axes, prediction: Prediction, value: Value, own: At) -> None:
    ttls, replicas = prediction.grid.ttl_s, prediction.grid.replicas

    def over(series: Series, column: int) -> list[float | None]:
        return [value(prediction, series, At(row, column)) for row in range(len(ttls))]

    sidecar = grid.series_of(prediction, "sidecar")
    thin = {column: over(sidecar, column) for column in counts_shown(prediction)}
    for each in thin.values():
        _line(axis, ttls, each, sidecar, linewidth=0.9, alpha=0.75)
    for series in _drawn(prediction):
        _line(axis, ttls, over(series, own.column), series, linewidth=2.2)
    row = _widest(list(thin.values()), logarithmic=value is _busiest)
    for column, each in thin.items():
        place = (ttls[row], each[row] or 0.0)
        axis.annotate(
            str(replicas[column]), place, va="center", ha="center", color=colour("sidecar"), zorder=5
        )


def _widest(curves: Sequence[Sequence[float | None]], *, logarithmic: bool) -> int:
    """Return where curves lie furthest apart on their axis: their labels have most room there."""
    if not curves:
        return 0

    def apart(row: int) -> float:
        values = [curve[row] or 0.0 for curve in curves]
        return max(values) / max(min(values), 1e-9) if logarithmic else max(values) - min(values)

    return max(range(len(curves[0])), key=apart)


def _line(
    axis: Axes, at: Sequence[float], values: Sequence[float | None], series: Series, **look: Any
) -> None:
    known = [float("nan") if value is None else value for value in values]
    own: dict[str, Any] = {
        "color": colour(series.topology, series.l1_s),
        "linestyle": line_style(series.topology),
    }
    axis.plot(at, known, **(own | look))


def _ttl_axis(axis: Axes, prediction: Prediction, row: int) -> None:
    ttls = prediction.grid.ttl_s
    if len(ttls) > 1:
        axis.set_xscale("log")
    axis.axvline(ttls[row], color=MUTED, linewidth=1, linestyle=DASHES[2])
    ttl_marks(axis, ttls[0], ttls[-1])
    axis.set_xlabel("TTL")


def _calls_axis(axis: Axes, prediction: Prediction) -> None:
    axis.set_yscale("log")
    quota_line(axis, prediction)
    low, high = axis.get_ylim()
    axis.yaxis.set_major_locator(FixedLocator(ticks.logarithmic(low, high)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.yaxis.set_minor_locator(NullLocator())


def _replicas(prediction: Prediction, column: int) -> str:
    count = prediction.grid.replicas[column]
    return f"{count} replica" if count == 1 else f"{count} replicas"
