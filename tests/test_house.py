"""The house: which module may import which, how large modules and folders may be, and the drawing of it."""

import ast
import re
from pathlib import Path

import house
import pytest
from house import ROOT, Import, graph, imports, modules, room, unit

# The allowed arrows. A room may import the rooms named for it, whatever sub-room they stand in.
ROOMS = {
    "scenarios": set(),
    "app": set(),
    "traffic": {"scenarios"},
    "simulation": {"scenarios", "traffic"},
    "loadtests": {"scenarios", "traffic", "simulation"},
    "compose": {"scenarios", "traffic", "simulation"},
    "reports": {"scenarios", "traffic", "simulation"},
    "bench": {"scenarios", "traffic", "simulation", "loadtests", "compose", "reports"},
}
# Inside a room, from the top to the bottom: a sub-room may import those of the lines below its own. Modules
# that stand beside the sub-rooms need no place of their own, but must not close a circle.
SUB_ROOMS = {
    "app": ("content", "upstream", "store"),
    "scenarios": ("sizing", "reading"),
    "traffic": ("logs",),
    "simulation": ("prediction",),
    "loadtests": ("distributed", "sending", "reading"),
    "compose": ("local", "docker external export", "host link"),
    "reports": (
        "prediction",
        "render",
        "analysis cost",
        "calls inference",
        "summary",
        "trial",
        "stored statistics theory",
    ),
    "bench": ("cli", "selftest predicting", "session terminal", "run", "load targets", "events"),
}
MOST_LINES = 300
MOST_MODULES = 14
FOUND = imports()


def sub_rooms() -> dict[str, set[str]]:
    """Return the sub-rooms that there are, by room."""
    found: dict[str, set[str]] = {}
    for name in modules():
        if name.count(".") >= 2:
            found.setdefault(room(name), set()).add(name.split(".")[1])
    return found


def listed(found: list[Import]) -> list[str]:
    return [f"{one.module}, line {one.line}: imports {one.imported} {one.name}".strip() for one in found]


def level(name: str) -> int | None:
    """Return how far down in its room a module's sub-room stands; None for a module beside them."""
    places = SUB_ROOMS.get(room(name), ())
    inside = name.split(".")[1] if "." in name else ""
    return next((n for n, line in enumerate(places) if inside in line.split()), None)


def goes_down(one: Import) -> bool:
    if room(one.module) != room(one.imported):
        return room(one.imported) in ROOMS[room(one.module)]
    above, below = level(one.module), level(one.imported)
    return unit(one.module) == unit(one.imported) or above is None or below is None or above < below


def test_imports_go_one_way_between_rooms_and_sub_rooms() -> None:
    assert listed([one for one in FOUND if not goes_down(one)]) == []


def test_every_sub_room_has_its_place() -> None:
    placed = {name: {sub for line in lines for sub in line.split()} for name, lines in SUB_ROOMS.items()}
    assert placed == sub_rooms(), "place each sub-room in SUB_ROOMS"


@pytest.mark.parametrize("part", [str, unit, room], ids=["modules", "sub-rooms", "rooms"])
def test_no_circle(part) -> None:
    assert house.circle(graph(FOUND, {name: part(name) for name in modules()})) == []


def test_no_module_imports_a_private_name_of_another() -> None:
    assert listed([one for one in FOUND if one.name.startswith("_") and one.name != "__version__"]) == []


def test_no_module_reaches_into_another() -> None:
    """Not by attribute either: `keys._weights` is as private as an imported `_weights`."""
    reached = []
    for name, path in modules().items():
        known = {(one.imported.rpartition(".")[2]) for one in FOUND if one.module == name and not one.name}
        reached += [
            f"{name}, line {node.lineno}: {node.value.id}.{node.attr}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__")
            if isinstance(node.value, ast.Name) and node.value.id in known
        ]
    assert reached == []


@pytest.mark.parametrize(("name", "path"), modules().items(), ids=modules())
def test_modules_are_small(name: str, path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_folders_are_small() -> None:
    sizes: dict[Path, int] = {}
    for path in modules().values():
        sizes[path.parent] = sizes.get(path.parent, 0) + (path.name != "__init__.py")
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > MOST_MODULES} == {}


def test_sub_rooms_say_what_they_are_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for name, path in modules().items()
        if path.name == "__init__.py" and "." in name and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def names_of_topologies(path: Path) -> list[str]:
    """Return where a module decides by the name of a topology: compares one, or looks something up by it."""
    names = {"sidecar", "separate", "process", "two-tier"}
    found = []

    def named(node: ast.expr | None, *, topology: bool = False) -> bool:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(named(one, topology=topology) for one in node.elts)
        if isinstance(node, ast.Constant):
            return node.value in names or (topology and node.value == "none")
        # The constants of the module of topologies, such as SEPARATE and SEPARATE.name.
        return bool(re.search(r"\b(SIDECAR|SEPARATE|PROCESS|NONE)\b", ast.unparse(node))) if node else False

    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            about = any(re.search("topolog", ast.unparse(side)) for side in sides)
            if any(named(side, topology=about) for side in sides):
                found.append(f"{path}, line {node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.Dict) and any(named(key) for key in node.keys):
            found.append(f"{path}, line {node.lineno}: {ast.unparse(node)[:80]}")
        elif isinstance(node, ast.MatchValue) and named(node.value, topology=True):
            found.append(f"{path}, line {node.value.lineno}: case {ast.unparse(node)}")
    return found


def test_only_one_module_decides_by_a_topology() -> None:
    """`scenarios.topologies` says what follows from a topology; elsewhere its name is only shown."""
    found = [
        place
        for name, path in modules().items()
        if name != "scenarios.topologies" and "predict" not in name  # being written
        for place in names_of_topologies(path)
    ]
    assert found == []


def test_drawing_is_that_of_the_code() -> None:
    assert house.drawn() == house.drawing(), "renew it: python tests/support/house.py"


def test_drawing_has_every_room_and_sub_room() -> None:
    shown = set(re.findall(r'\["([^"]+)"\]', house.drawn()))
    assert set(house.ROOMS) - {"app"} | {sub for subs in sub_rooms().values() for sub in subs} <= shown


class TestTheRulesThemselves:
    """Each rule falls where it is broken."""

    def arrows(self, tmp_path: Path, **sources: str) -> list[Import]:
        for name, source in sources.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return imports(tmp_path)

    def test_an_arrow_up_is_seen_in_functions_and_for_types(self, tmp_path: Path) -> None:
        up = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from bench.store import RunFolder\n"
        inside = "def f():\n    from reports.render import page\n"
        found = self.arrows(
            tmp_path,
            scenarios__model=up, bench__store="RunFolder = 1", reports__trial__misses=inside,
            reports__render__page="",
        )  # fmt: skip
        assert [one.module for one in found if not goes_down(one)] == [
            "reports.trial.misses", "scenarios.model",
        ]  # fmt: skip

    def test_a_circle_is_named_in_its_order(self, tmp_path: Path) -> None:
        found = self.arrows(
            tmp_path,
            compose__a="from compose import b", compose__b="import compose.c",
            compose__c="from compose.a import x",
        )  # fmt: skip
        assert house.circle(graph(found)) == ["compose.a", "compose.b", "compose.c"]

    @pytest.mark.parametrize(
        "source",
        [
            'if variant.topology == "none": ...',
            'x = topology in ("sidecar", "other")',
            'x = a == "separate"',
            'x = {"sidecar": 1}[topology]',
            "x = variant.layout is SEPARATE",
            "match topology:\n    case 'none': ...",
        ],
    )
    def test_a_decision_by_name_is_seen(self, source: str, tmp_path: Path) -> None:
        (tmp_path / "a.py").write_text(source)
        assert len(names_of_topologies(tmp_path / "a.py")) == 1

    def test_the_drawing_leaves_out_what_follows(self) -> None:
        assert house.reduced({"a": {"b", "c"}, "b": {"c"}}) == {"a": {"b"}, "b": {"c"}}


# Sub-rooms whose tests are elsewhere, and where.
UNTESTED = {
    "bench/terminal",  # tests/bench/test_end_to_end.py reads what it prints
    "reports/summary",  # tests/reports/test_summary.py
    "scenarios/reading",  # tests/scenarios, which is about little else
    "scenarios/sizing",
}


def test_tests_mirror_the_sub_rooms() -> None:
    """A sub-room's tests stand in a folder of its name; others are of the room as a whole."""
    folders = {
        f"{path.parent.name}/{path.name}"
        for path in (ROOT / "tests").glob("*/*")
        if path.is_dir() and path.parent.name in ROOMS and any(path.rglob("test_*.py"))
    }
    known = {f"{name}/{sub}" for name, subs in sub_rooms().items() for sub in subs}
    missing = known - folders - UNTESTED
    assert missing == set()


def test_folders_of_tests_are_small() -> None:
    sizes: dict[str, int] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        place = str(path.parent.relative_to(ROOT))
        sizes[place] = sizes.get(place, 0) + 1
    assert {place: size for place, size in sizes.items() if size > MOST_MODULES} == {}
