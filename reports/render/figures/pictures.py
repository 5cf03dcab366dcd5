"""The figures of a report; those with a row for each variant are drawn here."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reports.analysis.run import Analysis
from reports.render.figures import curves, forest
from reports.render.figures.ink import INK, RULE, Picture, canvas, name_rows, picture
from reports.render.figures.styles import Looks
from scenarios.model import Variant


def pictures(analysis: Analysis) -> dict[str, Picture]:
    """Draw all figures that the run has data for, by name."""
    variants = analysis.scenario.variants
    timed = [variant for variant in variants if analysis.timed(variant.id)]
    counted = [variant for variant in variants if analysis.counted(variant.id)]
    drawn = [curves.latency(analysis, timed)] if timed else []
    if called := _that_have(analysis, counted, "upstream_calls_per_1000"):
        drawn.append(calls(analysis, called))
    if told := _that_have(analysis, counted, "hit_ratio"):
        drawn.append(curves.over_time(analysis, told))
    if any(variant.layout.cached for variant in told):
        drawn.append(hits(analysis, told))
    if any(trial.counts_valid and trial.z is not None for trial in analysis.summary.trials):
        drawn.append(witness(analysis, counted))
    verdict = forest.effects(analysis)
    if verdict is not None:
        drawn.append(verdict)
    return {figure.name: figure for figure in drawn}


def _that_have(analysis: Analysis, variants: Sequence[Variant], metric: str) -> list[Variant]:
    """Return the variants of which a metric is known: not every service says what was a hit."""
    known = {one.id for one in analysis.summary.variants if getattr(one.metrics, metric) is not None}
    return [variant for variant in variants if variant.id in known]


def hits(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw hit ratios, per trial and on average, against theory."""
    cached = [variant for variant in variants if variant.layout.cached]
    summaries = {variant.id: variant for variant in analysis.summary.variants}
    expected = {variant.id: summaries[variant.id].theory for variant in cached}

    def draw(narrow: bool) -> Figure:
        figure, axes = _rows_canvas(narrow, len(cached))
        looks = Looks(variants)
        for row, variant in enumerate(cached):
            trials = [trial.metrics["hit_ratio"] for trial in analysis.counted(variant.id)]
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
        name_rows(axes, [variant.id for variant in cached], narrow)
        axes.xaxis.set_major_formatter(PercentFormatter(1, None))  # as many digits as tell ticks apart
        axes.set_xlabel("hit ratio")
        return figure

    has_theory = any(theirs is not None for theirs in expected.values())
    return picture(
        "hits",
        "Hit ratio: each trial as a faint dot, the mean with its 95% interval as the solid one"
        + (", and the expectation of theory as the vertical line." if has_theory else "."),
        "Hit ratio of each variant with its interval"
        + (
            " beside the hit ratio that theory expects; the table below has the figures."
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
        name_rows(axes, [variant.id for variant in variants], narrow)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.08)
        axes.set_xlabel("upstream calls per 1,000 requests")
        return figure

    return picture(
        "calls",
        "Upstream calls per 1,000 requests, with 95% intervals. Without a cache it is 1,000.",
        "Bars of upstream calls per 1,000 requests for each variant; the table above has the figures.",
        draw,
    )


def witness(analysis: Analysis, variants: Sequence[Variant]) -> Picture:
    """Draw the counted upstream calls against the expected ones, trial by trial."""
    scores = {
        variant.id: [
            trial.z for trial in analysis.summary.trials
            if trial.variant == variant.id and trial.counts_valid and trial.z is not None
        ]
        for variant in variants
    }  # fmt: skip
    shown = [variant for variant in variants if scores[variant.id]]

    def draw(narrow: bool) -> Figure:
        figure, axes = _rows_canvas(narrow, len(shown))
        looks = Looks(variants)
        axes.axvspan(-2, 2, color=RULE, alpha=0.5, linewidth=0)
        axes.axvline(0, color=INK, linewidth=1.2)
        for row, variant in enumerate(shown):
            each = scores[variant.id]
            axes.plot(each, [row] * len(each), "o", color=looks.colour(variant), markersize=7, alpha=0.75)
        name_rows(axes, [variant.id for variant in shown], narrow)
        edge = max(3.0, *(abs(score) + 0.3 for each in scores.values() for score in each))
        axes.set_xlim(-edge, edge)
        axes.set_xlabel(
            "counted − expected calls, in standard errors" if not narrow else "counted − expected (SE)"
        )
        return figure

    return picture(
        "witness",
        "Comparison with theory: the upstream calls of each trial, from its start to its end, minus those "
        "that theory expects, in standard errors. 95% of the trials should be in the band.",
        "For each variant, counted minus expected upstream calls of every trial, in standard errors.",
        draw,
    )


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
