"""What the tables of a page are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One cell: what it says, a smaller line and a word under it, and a class that colours it."""

    text: str
    under: str = ""
    word: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table: the first cell of each row names it."""

    name: str
    heads: list[str]
    rows: list[list[Cell]]
