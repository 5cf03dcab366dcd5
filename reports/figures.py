"""The figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from reports import theory
from reports.analysis import Analysis
from reports.ink import INK, MUTED, SERIES, Picture, canvas, picture
from reports.measures import LOG_EDGES_US
from reports.theory import Caches, Demand
from scenarios.model import Variant

_TOPOLOGIES: Final = ("sidecar", "separate", "none")
Dashes = tuple[float, tuple[float, ...]]
_DASHES: Final[tuple[Dashes, ...]] = (
    (0, ()),
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
)
_MOST_LEGEND: Final = 8


def pictures(analysis: Analysis) -> dict[str, Picture]:
    """Draw all figures that the run has data for, by name."""
    measured = [variant for variant in analysis.scenario.variants if analysis.valid(variant.id)]
    if not measured:
        return {}
    drawn = [latency(analysis, measured), calls(analysis, measured), over_time(analysis, measured)]
    if any(variant.topology != "none" for variant in measured):
        drawn.append(hits(analysis, measured))
    return {figure.name: figure for figure in drawn}


class Looks:
    """Colour tells the topology, dashes tell the rest; where there is one topology, colour tells all."""

    def __init__(self, variants: Sequence[Variant]) -> None:
        topologies = {variant.topology for variant in variants}
        self._colour: dict[str, str] = {}
        self._dashes: dict[str, Dashes] = {}
        seen = dict.fromkeys(_TOPOLOGIES, 0)
        for number, variant in enumerate(variants):
            if len(topologies) > 1:
                self._colour[variant.id] = SERIES[_TOPOLOGIES.index(variant.topology)]
                self._dashes[variant.id] = _DASHES[seen[variant.topology] % len(_DASHES)]
                seen[variant.topology] += 1
            else:
                self._colour[variant.id] = SERIES[number % len(SERIES)]
                self._dashes[variant.id] = _DASHES[number // len(SERIES) % len(_DASHES)]

    def colour(self, variant: Variant) -> str:
        """Return a variant's colour."""
        return self._colour[variant.id]

    def dashes(self, variant: Variant) -> Dashes:
        """Return a variant's line style."""
        return self._dashes[variant.id]


def latency(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw the distribution of latencies, hits and misses apart."""
    looks = Looks(variants)
    misses = (
        "Misses and uncached requests"
        if any(variant.topology == "none" for variant in variants)
        else "Misses"
    )
    classes = [
        (name, title)
        for name, title in (("hit", "Hits"), ("miss", misses))
        if any(trial.latency[name].requests for variant in variants for trial in analysis.valid(variant.id))
    ]

    def draw(narrow: bool) -> Figure:
        panels = len(classes)
        legend = _legend_height(variants, narrow)
        figure, axes = canvas(
            narrow,
            (250 * panels if narrow else 300) + legend,
            panels if narrow else 1,
            1 if narrow else panels,
        )
        for axis, (name, title) in zip(axes, classes, strict=True):
            _ecdf(axis, analysis, variants, name, looks)
            axis.set_title(title)
            axis.set_xlabel("latency from the intended send")
        axes[0].set_ylabel("share of requests")
        _legend(figure, variants, looks, narrow)
        return figure

    return picture(
        "latency",
        "How long requests took, on a logarithmic axis, all valid trials together. "
        "A curve further left is faster; the height is the share of requests answered by then.",
        "Empirical distribution functions of latency per variant, hits and misses in panels of their own; "
        "the table below holds the percentiles.",
        draw,
    )


def _ecdf(axis: Axes, analysis: Analysis, variants: Sequence[Variant], name: str, looks: Looks) -> None:
    low, high = len(LOG_EDGES_US), 0
    for variant in variants:
        counts = np.sum([trial.latency[name].histogram for trial in analysis.valid(variant.id)], axis=0)
        total = counts.sum()
        if total == 0:
            continue
        share = np.concatenate([[0.0], np.cumsum(counts) / total])
        low = min(low, int(np.searchsorted(share, 0.0005)))
        high = max(high, int(np.searchsorted(share, 0.9995)))
        axis.plot(
            LOG_EDGES_US / 1000,
            share,
            color=looks.colour(variant),
            linestyle=looks.dashes(variant),
            label=variant.id,
        )
    axis.set_xscale("log")
    edges = LOG_EDGES_US / 1000
    axis.set_xlim(edges[max(low - 12, 0)], edges[min(high + 12, edges.size - 1)])
    axis.set_ylim(0, 1.01)
    axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axis.yaxis.set_tick_params(labelcolor=MUTED)
    wide = edges[min(high + 12, edges.size - 1)] / edges[max(low - 12, 0)] > 30
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s")
    )
    axis.xaxis.set_minor_formatter(NullFormatter())


def hits(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw hit ratios, per trial and on average, against theory."""
    cached = [variant for variant in variants if variant.topology != "none"]
    summaries = {variant.id: variant for variant in analysis.summary.variants}
    expected = {variant.id: summaries[variant.id].theory for variant in cached}

    def draw(narrow: bool) -> Figure:
        figure, axes = _rows_canvas(narrow, len(cached))
        looks = Looks(variants)
        for row, variant in enumerate(cached):
            trials = [trial.metrics["hit_ratio"] for trial in analysis.valid(variant.id)]
            _dots(axes, row, trials, summaries[variant.id].metrics.hit_ratio, looks.colour(variant))
            theirs = expected[variant.id]
            if theirs is not None:
                axes.plot(
                    [theirs.hit_ratio],
                    [row],
                    marker="|",
                    markersize=22,
                    markeredgewidth=1.8,
                    color=INK,
                    label="theory",
                )
        _variant_axis(axes, [variant.id for variant in cached], narrow)
        axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
        axes.set_xlabel("hit ratio")
        return figure

    has_theory = any(theirs is not None for theirs in expected.values())
    return picture(
        "hits",
        "Hit ratio: each trial as a faint dot, the mean with its 95% interval as the solid one"
        + (", and what theory expects as the upright stroke." if has_theory else "."),
        "Hit ratio of each variant with its interval"
        + (
            " beside the hit ratio that theory expects; the table below holds the figures."
            if has_theory
            else "."
        ),
        draw,
    )


def calls(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw upstream calls per 1,000 requests."""
    summaries = {variant.id: variant for variant in analysis.summary.variants}

    def draw(narrow: bool) -> Figure:
        figure, axes = _rows_canvas(narrow, len(variants))
        looks = Looks(variants)
        for row, variant in enumerate(variants):
            value = summaries[variant.id].metrics.upstream_calls_per_1000
            axes.barh(
                [row], [value.value if value else 0], height=0.5, color=looks.colour(variant), alpha=0.85
            )
            if value is not None and value.ci95 is not None:
                axes.plot(value.ci95, [row, row], color=INK, linewidth=1.4)
            if value is not None:
                end = value.ci95[1] if value.ci95 else value.value
                axes.annotate(
                    f"{value.value:,.0f}", (end, row), (5, 0), textcoords="offset points", va="center"
                )
        _variant_axis(axes, [variant.id for variant in variants], narrow)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.08)
        axes.set_xlabel("upstream calls per 1,000 requests")
        return figure

    return picture(
        "calls",
        "Upstream calls per 1,000 requests, with 95% intervals. Without a cache it is 1,000.",
        "Bars of upstream calls per 1,000 requests for each variant; the table above holds the figures.",
        draw,
    )


def over_time(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw the upstream calls of each second since the cold start, and what theory expects."""
    looks = Looks(variants)

    def draw(narrow: bool) -> Figure:
        figure, axes = canvas(narrow, (260 if narrow else 300) + _legend_height(variants, narrow))
        axis = axes[0]
        for variant in variants:
            trials = [trial.calls_by_second for trial in analysis.valid(variant.id)]
            seconds = min(len(counts) for counts in trials)
            if seconds == 0:
                continue
            mean = np.mean([counts[:seconds] for counts in trials], axis=0)
            axis.stairs(mean, np.arange(seconds + 1), color=looks.colour(variant), linewidth=1.8,
                        linestyle=looks.dashes(variant), label=variant.id, baseline=None)  # fmt: skip
            expected = _expected_per_second(analysis, variant, seconds)
            if expected is not None:
                axis.plot(np.arange(seconds) + 0.5, expected, ".", markersize=5, color=INK)
        warmup = analysis.scenario.schedule.warmup
        if warmup > 0:
            axis.axvline(warmup, color=MUTED, linewidth=1, linestyle=(0, (2, 2)))
        axis.set_ylim(bottom=0)
        axis.set_xlim(left=0)
        axis.yaxis.set_tick_params(labelcolor=MUTED)
        axis.xaxis.set_major_locator(MaxNLocator(5 if narrow else 10, integer=True, steps=(1, 2, 5, 10)))
        axis.set_xlabel("seconds since the cold start")
        axis.set_ylabel("upstream calls per second")
        _legend(figure, variants, looks, narrow)
        return figure

    return picture(
        "over-time",
        "Upstream calls of each second, averaged over trials. Every trial begins with empty caches. "
        "Dots: what theory expects. Dashed upright: the end of the warm-up, which statistics leave out.",
        "Upstream calls per second against time since the cold start, for each variant.",
        draw,
    )


def _expected_per_second(analysis: Analysis, variant: Variant, seconds: int) -> np.ndarray | None:
    summary = next(found for found in analysis.summary.variants if found.id == variant.id)
    if summary.theory is None:
        return None
    workload, trials = variant.workload, analysis.valid(variant.id)
    caches = Caches(
        variant.cache.ttl, variant.replicas, variant.topology == "separate",
        summary.theory.fill_time_ms / 1000, any(trial.joined for trial in trials),
    )  # fmt: skip
    return np.diff(theory.calls_by(Demand.of(workload.keys, workload.rate), caches, range(seconds + 1)))


def _rows_canvas(narrow: bool, rows: int) -> tuple[Figure, Axes]:
    figure, axes = canvas(narrow, 64 + rows * (52 if narrow else 40))
    return figure, axes[0]


def _dots(axis: Axes, row: int, trials: Sequence[float], estimate: object, colour: str) -> None:
    axis.plot(
        trials, [row + 0.22] * len(trials), "o", color=colour, alpha=0.35, markersize=5, markeredgewidth=0
    )
    value, interval = getattr(estimate, "value", None), getattr(estimate, "ci95", None)
    if interval is not None:
        axis.plot(interval, [row, row], color=colour, linewidth=2.4, solid_capstyle="round")
    if value is not None:
        axis.plot([value], [row], "o", color=colour, markersize=8)


def _variant_axis(axis: Axes, names: Sequence[str], narrow: bool) -> None:
    axis.grid(visible=False, axis="y")
    axis.set_ylim(len(names) - 0.45, -0.55)
    axis.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8, steps=(1, 2, 5, 10)))
    if not narrow:
        axis.set_yticks(range(len(names)), names)
        return
    axis.set_yticks([])
    for row, name in enumerate(names):
        axis.annotate(
            name, (0, row - 0.36), xycoords=("axes fraction", "data"), va="center", annotation_clip=False
        )


def _legend_height(variants: Sequence[Variant], narrow: bool) -> int:
    return (
        20 * (min(len(variants), _MOST_LEGEND) if narrow else (min(len(variants), _MOST_LEGEND) + 3) // 4) + 8
    )


def _legend(figure: Figure, variants: Sequence[Variant], looks: Looks, narrow: bool) -> None:
    named = {variant.id: variant for variant in variants}
    if (
        len(named) > _MOST_LEGEND
    ):  # too many to tell apart by a legend: one entry a colour, the rest is in the tables
        named = {f"{variant.topology} …": variant for variant in variants}
    handles = [
        Line2D([], [], color=looks.colour(variant), linestyle=looks.dashes(variant), label=name)
        for name, variant in named.items()
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=1 if narrow else 4, handlelength=2.6, borderaxespad=0
    )
