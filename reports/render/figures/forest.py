"""The figure of the verdict: every difference with its interval, beside the margin that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.analysis.run import Analysis
from reports.inference.effects import Compared, label
from reports.render.figures.ink import BAD, GOOD, INK, MUTED, RULE, Picture, canvas, picture
from reports.summary.model import Comparison, Decision

# Of these less is better, and a share of a's value means something; ratios are shown by their calls.
_METRICS: Final = ("upstream_calls_per_1000", "p50_ms", "hit_p50_ms", "miss_p50_ms", "p90_ms", "p99_ms")
_OF_MANY: Final = ("upstream_calls_per_1000", "hit_p50_ms")
_COLOURS: Final[dict[Decision, str]] = {"better": GOOD, "worse": BAD, "equivalent": INK, "undecided": MUTED}


@dataclass(frozen=True)
class _Row:
    name: str
    comparison: Comparison | None

    @property
    def drawable(self) -> bool:
        """Whether there is an interval, and a value to be a share of."""
        found = self.comparison
        return found is not None and found.decision_ci is not None and found.reference > 0


def effects(analysis: Analysis) -> Picture | None:
    """Draw the differences; None where no comparison has an interval."""
    panels = _panels(analysis.compared)
    if not panels:
        return None

    def draw(narrow: bool) -> Figure:
        rows = len(panels[0][1])
        height = 76 + rows * (50 if narrow else 34)
        marks = 4 if narrow else 10 if len(panels) == 1 else 7  # on a panel's axis
        shape = (len(panels), 1) if narrow else (1, len(panels))
        figure, axes = canvas(narrow, height * shape[0], *shape)
        for at, (axis, (title, drawn)) in enumerate(zip(axes, panels, strict=True)):
            _panel(axis, drawn, narrow, names=narrow or at == 0)
            axis.xaxis.set_major_locator(MaxNLocator(marks, steps=(1, 2, 5, 10)))
            axis.set_title(title)
        return figure

    one = len(analysis.compared) == 1
    pair = analysis.compared[0].pair
    held = f"{pair.b.id} compared with {pair.a.id}" if one else "Each comparison"
    return picture(
        "effects",
        f"{held}: differences as a share of the value of the latter, with the intervals that decide. "
        "Left of zero is better: fewer calls, less time. The band is the margin within which a difference "
        "is too small to matter.",
        "Differences with intervals for each comparison; the table of results has the figures.",
        draw,
    )


def _panels(compared: Sequence[Compared]) -> list[tuple[str, list[_Row]]]:
    """Return titles and rows; all panels have the same rows, so that they can stand side by side."""
    if len(compared) == 1:
        found = [_Row(label(metric), compared[0].of(metric)) for metric in _METRICS]
        rows = [row for row in found if row.drawable]
        return [("", rows)] if rows else []
    panels = [
        (
            label(metric),
            [_Row(f"{one.pair.b.id} compared with {one.pair.a.id}", one.of(metric)) for one in compared],
        )
        for metric in _OF_MANY
    ]
    kept = [at for at in range(len(compared)) if any(rows[at].drawable for _, rows in panels)]
    return [
        (title[:1].upper() + title[1:], [rows[at] for at in kept])
        for title, rows in panels
        if any(row.drawable for row in rows)
    ]


def _panel(axis: Axes, rows: Sequence[_Row], narrow: bool, names: bool) -> None:
    axis.axvline(0, color=INK, linewidth=1.2)
    for at, row in enumerate(rows):
        found = row.comparison
        if found is None or found.decision_ci is None or found.difference is None or not row.drawable:
            continue
        scale = 100 / found.reference
        axis.barh(
            [at], [2 * found.margin * scale], left=-found.margin * scale, height=0.62, color=RULE, alpha=0.7
        )
        colour = _COLOURS[found.decision]
        axis.plot([end * scale for end in found.decision_ci], [at, at], color=colour, linewidth=2.4)
        axis.plot([found.difference * scale], [at], "o", color=colour, markersize=8)
    axis.grid(visible=False, axis="y")
    axis.set_ylim(len(rows) - 0.45, -0.65 if narrow else -0.55)
    axis.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:+.0f} %".replace("-", "−") if value else "0")
    )
    if narrow or not names:
        axis.set_yticks([])
    else:
        axis.set_yticks(range(len(rows)), [row.name for row in rows])
    if narrow:
        for at, row in enumerate(rows):
            axis.annotate(row.name, (0, at - 0.45), xycoords=("axes fraction", "data"), va="center")
