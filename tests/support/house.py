"""The house, read from the code: its modules, what they import, circles, and a drawing.

`python tests/support/house.py` renews the drawing in docs/design.md, which tests/test_house.py compares.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "docs" / "design.md"
ROOMS = ("bench", "reports", "compose", "loadtests", "simulation", "traffic", "scenarios", "app")
_DRAWN = re.compile(r"(?<=<!-- imports -->\n).*?(?=<!-- /imports -->)", re.DOTALL)
Graph = Mapping[str, Set[str]]


@dataclass(frozen=True)
class Import:
    """One import within the project, wherever it stands: at the top, in a function, or for types alone."""

    module: str
    imported: str
    name: str
    line: int


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return the file of each module, by its dotted name."""
    found = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path = ROOT) -> list[Import]:
    """Return every import of one module of the project by another."""
    known = modules(root)
    return [found for name, path in known.items() for found in _of_module(name, path, known)]


def _of_module(module: str, path: Path, known: Mapping[str, Path]) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            named = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: write imports in full"
            named = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for source, name in named:
            is_module = f"{source}.{name}" in known
            imported = f"{source}.{name}" if is_module else source
            if imported in known and imported != module:
                yield Import(module, imported, "" if is_module else name, node.lineno)


def unit(module: str) -> str:
    """Return what a module belongs to: a sub-room, or itself where it stands beside the sub-rooms."""
    return ".".join(module.split(".")[:2])


def room(module: str) -> str:
    """Return the room of a module."""
    return module.partition(".")[0]


def graph(found: list[Import], part: Mapping[str, str] | None = None) -> dict[str, set[str]]:
    """Return who imports whom; with `part`, by the part that a module belongs to."""
    part = part or {}
    arrows: dict[str, set[str]] = {}
    for one in found:
        tail, head = part.get(one.module, one.module), part.get(one.imported, one.imported)
        if tail != head:
            arrows.setdefault(tail, set()).add(head)
    return arrows


def circle(arrows: Graph) -> list[str]:
    """Return the modules of one circle, in its order; none where there is none."""
    done: set[str] = set()

    def below(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        for head in sorted(arrows.get(node, ())):
            if found := below(head, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(arrows) if (found := below(node, []))), [])


def reduced(arrows: Graph) -> dict[str, set[str]]:
    """Return a graph without the arrows that follow from others: a → c beside a → b → c."""

    def reached(node: str) -> set[str]:
        return {node}.union(*(reached(head) for head in arrows.get(node, ())))

    return {
        tail: {head for head in heads if not any(head in reached(other) for other in heads - {head})}
        for tail, heads in arrows.items()
    }


def drawing(root: Path = ROOT) -> str:
    """Draw who imports whom in Mermaid: the rooms, and then what is in each room."""
    found = imports(root)
    names = modules(root)
    lines = ["Between the rooms:", "", *_mermaid(graph(found, {name: room(name) for name in names})), ""]
    for inside in ROOMS:
        own = [one for one in found if room(one.module) == room(one.imported) == inside]
        arrows = graph(own, {name: unit(name) for name in names})
        # A room's own __init__ is the way into it, and no part of it.
        parts = {tail: heads for tail, heads in arrows.items() if tail != inside}
        if any(len(name.split(".")) > 2 and room(name) == inside for name in names):
            lines += [f"Inside `{inside}/`:", "", *_mermaid(parts, prefix=f"{inside}."), ""]
    return "\n".join(lines)


def _mermaid(arrows: Graph, prefix: str = "") -> list[str]:
    # `end` is a word of Mermaid's, and dots part words: names are quoted.
    drawn = [
        f"    {_sign(tail, prefix)} --> {_sign(head, prefix)}"
        for tail, heads in sorted(reduced(arrows).items())
        for head in sorted(heads)
    ]
    return ["```mermaid", "flowchart TD", *drawn, "```"]


def _sign(name: str, prefix: str) -> str:
    label = name.removeprefix(prefix)
    return f'{label.strip("_")}_["{label}"]'


def drawn() -> str:
    """Return the drawing that the documentation has."""
    found = _DRAWN.search(DESIGN.read_text(encoding="utf-8"))
    assert found is not None, f"{DESIGN} has no marks for the drawing of imports"
    return found[0]


def renew() -> None:
    """Put today's drawing into the documentation."""
    text = DESIGN.read_text(encoding="utf-8")
    DESIGN.write_text(_DRAWN.sub(lambda _: drawing(), text), encoding="utf-8")


if __name__ == "__main__":
    renew()
