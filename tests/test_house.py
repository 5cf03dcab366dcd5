"""The house: which room may import which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "scenarios": set(),
    "app": set(),
    "traffic": {"scenarios"},
    "simulation": {"scenarios", "traffic"},
    "loadtests": {"scenarios", "traffic", "simulation"},
    "compose": {"scenarios", "traffic", "simulation"},
    "reports": {"scenarios", "traffic", "simulation"},
    "bench": {"scenarios", "traffic", "simulation", "loadtests", "compose", "reports"},
}
MODULES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def imported_rooms(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} & set(MAY_IMPORT)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert imported_rooms(path) - {room} <= MAY_IMPORT[room]
