"""Matplotlib figures as inline SVG that takes its colours and fonts from the page, in light and dark.

Each figure is drawn in two widths; the page shows the one that fits, so that text is never shrunk.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

WIDE: Final = 920
NARROW: Final = 350
# Drawn in these colours, which are then replaced by the page's own (templates/report.css).
INK: Final = "#010101"
MUTED: Final = "#020202"
RULE: Final = "#030303"
GOOD: Final = "#040404"
BAD: Final = "#050505"
SERIES: Final = ("#0a0101", "#0a0202", "#0a0303", "#0a0404", "#0a0505", "#0a0606")
# Four shades of each of the first two series, from faint to full: solid, so that areas can lie side by side.
SHADES: Final = tuple(tuple(f"#0{row}0{shade}0{shade}" for shade in range(1, 5)) for row in "bc")
_VARIABLES: Final = (
    {INK: "--ink", MUTED: "--muted", RULE: "--rule", GOOD: "--good", BAD: "--bad"}
    | {colour: f"--series-{number}" for number, colour in enumerate(SERIES)}
    | {
        colour: f"--series-{number}-shade-{shade}"
        for number, shades in enumerate(SHADES)
        for shade, colour in enumerate(shades)
    }
)
_TEXT: Final = 12
_STYLE: Final[Any] = {
    "font.size": _TEXT, "axes.labelsize": _TEXT, "axes.titlesize": 13, "axes.titlelocation": "left",
    "axes.titlepad": 10, "xtick.labelsize": _TEXT, "ytick.labelsize": _TEXT, "legend.fontsize": _TEXT,
    "text.color": INK, "axes.titlecolor": INK, "axes.labelcolor": MUTED, "axes.edgecolor": RULE,
    "xtick.color": RULE, "ytick.color": RULE, "xtick.labelcolor": MUTED, "ytick.labelcolor": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": RULE, "grid.linewidth": 0.8,
    "xtick.major.size": 0, "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0,
    "xtick.major.pad": 7,
    "axes.unicode_minus": True, "legend.frameon": False, "lines.linewidth": 1.8,
    "svg.fonttype": "none", "svg.hashsalt": "sidecar-bench",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One figure of the page: two drawings of the same, a caption, and words for who cannot see it."""

    name: str
    caption: str
    described: str
    wide: str
    narrow: str


def picture(name: str, caption: str, described: str, draw: Callable[[bool], Figure]) -> Picture:
    """Draw a figure in both widths; `draw` is told whether it is the narrow one."""
    with _style():
        wide, narrow = (
            _svg(draw(small), f"{name}-{'narrow' if small else 'wide'}") for small in (False, True)
        )
    return Picture(name, caption, described, wide, narrow)


def canvas(narrow: bool, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of the page's width and a height in pixels, and its axes."""
    figure = Figure(figsize=((NARROW if narrow else WIDE) / 72, height / 72), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def name_rows(axis: Axes, names: Sequence[str], narrow: bool) -> None:
    """Give an axis one row per name, the first on top: named at its left, or above it if narrow."""
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


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(_STYLE):
        yield


def _svg(figure: Figure, name: str) -> str:
    file = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, dpi=72, metadata=metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    # One page holds many drawings: their ids must not meet.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r" font-family: [^;\"]+;?", "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"<svg ", '<svg aria-hidden="true" focusable="false" ', svg, count=1)
