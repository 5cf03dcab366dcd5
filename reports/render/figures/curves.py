"""The figures with curves: how long requests took, and the upstream calls of each second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from reports import theory
from reports.analysis.run import Analysis
from reports.render.figures import ticks
from reports.render.figures.ink import INK, MUTED, Picture, canvas, picture
from reports.render.figures.styles import Looks, legend, legend_height
from reports.trial.measures import LOG_EDGES_US
from scenarios.model import Variant
from scenarios.schedule import Start


def latency(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw the distribution of latencies, hits and misses apart."""
    looks = Looks(variants)
    misses = (
        "Misses and uncached requests" if any(not variant.layout.cached for variant in variants) else "Misses"
    )
    classes = [
        (name, title)
        for name, title in (("hit", "Hits"), ("miss", misses))
        if any(trial.latency[name].requests for variant in variants for trial in analysis.timed(variant.id))
    ] or [("all", "All requests")]  # of a service that does not tell hits from misses

    def draw(narrow: bool) -> Figure:
        panels = len(classes)
        above = legend_height(variants, narrow)
        figure, axes = canvas(
            narrow,
            (250 * panels if narrow else 300) + above,
            panels if narrow else 1,
            1 if narrow else panels,
        )
        for axis, (name, title) in zip(axes, classes, strict=True):
            _ecdf(axis, analysis, variants, name, looks)
            axis.set_title(title)
            axis.set_xlabel("latency from the intended send")
        axes[0].set_ylabel("share of requests")
        legend(figure, variants, looks, narrow)
        return figure

    return picture(
        "latency",
        "Latency of all requests in valid trials, on a logarithmic axis. "
        "A curve further left is faster; the height is the share of requests answered by that time.",
        "Empirical distribution functions of latency per variant, in panels for "
        f"{' and '.join(title.lower() for _, title in classes)}; the table below has the percentiles.",
        draw,
    )


def _ecdf(axis: Axes, analysis: Analysis, variants: Sequence[Variant], name: str, looks: Looks) -> None:
    low, high = len(LOG_EDGES_US), 0
    for variant in variants:
        counts = np.sum([trial.latency[name].histogram for trial in analysis.timed(variant.id)], axis=0)
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
    ends = float(edges[max(low - 12, 0)]), float(edges[min(high + 12, edges.size - 1)])
    axis.set_xlim(*ends)
    axis.set_ylim(0, 1.01)
    axis.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axis.yaxis.set_tick_params(labelcolor=MUTED)
    axis.xaxis.set_major_locator(FixedLocator(ticks.logarithmic(*ends)))
    axis.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s")
    )
    axis.xaxis.set_minor_locator(NullLocator())


def over_time(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw the upstream calls of each second since the start of a trial, and what theory expects."""
    looks = Looks(variants)
    cold = analysis.deployed and analysis.scenario.schedule.start == "cold"
    start = "the cold start" if cold else "the start of the trial"

    def draw(narrow: bool) -> Figure:
        figure, axes = canvas(narrow, (260 if narrow else 300) + legend_height(variants, narrow))
        axis = axes[0]
        for variant in variants:
            trials = [trial.calls_by_second for trial in analysis.counted(variant.id)]
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
        axis.set_xlabel(f"seconds since {start}")
        axis.set_ylabel("upstream calls per second")
        legend(figure, variants, looks, narrow)
        return figure

    held = "empty caches" if cold else "the caches of a long-running service"
    caches = f"Every trial begins with {held}. Dots: the expectation of theory."
    if not analysis.deployed:
        caches = "Every trial begins with the caches that earlier trials left."
    return picture(
        "over-time",
        f"Upstream calls of each second, averaged over trials. {caches} "
        "Dashed line: the end of the warm-up, which statistics exclude.",
        f"Upstream calls per second over the time since {start}, for each variant.",
        draw,
    )


def _expected_per_second(analysis: Analysis, variant: Variant, seconds: int) -> NDArray[np.float64] | None:
    summary = next(found for found in analysis.summary.variants if found.id == variant.id)
    if summary.theory is None:
        return None
    joined = any(trial.joined for trial in analysis.counted(variant.id))
    fill_s = summary.theory.fill_time_ms / 1000
    start: Start = "steady" if summary.start == "steady" else "cold"
    calls = theory.calls_of(variant, range(seconds + 1), fill_s, joined, start)
    return np.diff(calls) if calls is not None else None
