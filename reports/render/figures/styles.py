"""How variants look in every figure: one colour, one line style, and the legend that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.render.figures.ink import SERIES
from scenarios.model import Variant
from scenarios.topologies import deployed

Dashes = tuple[float, tuple[float, ...]]
DASHES: Final[tuple[Dashes, ...]] = (
    (0, ()),
    (0, (5, 2)),
    (0, (1.5, 1.5)),
    (0, (6, 2, 1.5, 2)),
)
_MOST_LEGEND: Final = 8


class Looks:
    """Colour tells the topology, dashes tell the rest; where there is one topology, colour tells all."""

    def __init__(self, variants: Sequence[Variant]) -> None:
        known = deployed()
        topologies = {variant.topology for variant in variants}
        self._colour: dict[str, str] = {}
        self._dashes: dict[str, Dashes] = {}
        seen = dict.fromkeys(topologies, 0)
        for number, variant in enumerate(variants):
            if len(topologies) > 1:
                self._colour[variant.id] = SERIES[known.index(variant.topology) % len(SERIES)]
                self._dashes[variant.id] = DASHES[seen[variant.topology] % len(DASHES)]
                seen[variant.topology] += 1
            else:
                self._colour[variant.id] = SERIES[number % len(SERIES)]
                self._dashes[variant.id] = DASHES[number // len(SERIES) % len(DASHES)]

    def colour(self, variant: Variant) -> str:
        """Return a variant's colour."""
        return self._colour[variant.id]

    def dashes(self, variant: Variant) -> Dashes:
        """Return a variant's line style."""
        return self._dashes[variant.id]


def legend_height(variants: Sequence[Variant], narrow: bool) -> int:
    """Return the height that the legend takes (pixels)."""
    return (
        20 * (min(len(variants), _MOST_LEGEND) if narrow else (min(len(variants), _MOST_LEGEND) + 3) // 4) + 8
    )


def legend(figure: Figure, variants: Sequence[Variant], looks: Looks, narrow: bool) -> None:
    """Draw the legend above a figure."""
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
