"""Scenario files: YAML in, overrides applied, every list spread into the matrix, a `Scenario` out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from scenarios import thresholds
from scenarios.model import RunSettings, Scenario, Settings, Variant
from scenarios.reading import text
from scenarios.reading.written import (
    Document,
    Given,
    Path_,
    ScenarioError,
    copied,
    override,
    parse_assignment,
    parse_value,
    short,
)
from scenarios.schedule import Precision

__all__ = [
    "LIBRARY", "Document", "Given", "ScenarioError", "build", "find", "library", "load", "override",
    "parse_assignment", "parse_value", "read",
]  # fmt: skip

LIBRARY: Final = Path(__file__).parents[1]
MOST_VARIANTS: Final = 64
MORE_BLOCKS: Final = 4  # times those that are planned: as many as may be made where their end is left open

_ATTRIBUTES: Final = {"from": "from_"}  # a word of Python's
# Ids are names of folders and words of thresholds, and a log's name may have anything in it.
_UNNAMEABLE: Final = re.compile(r"[^\w.+]+", re.ASCII)
_Model = TypeVar("_Model", RunSettings, Settings)


def library() -> dict[str, Path]:
    """Return the scenarios that come with the project: file by name."""
    return {path.stem: path for path in sorted(LIBRARY.glob("*.yaml"))}


def find(name: str) -> Path:
    """Return the file of a scenario, named by its path or by its name in the library.

    Raises:
        ScenarioError: there is none.
    """
    if name in library():
        return library()[name]
    path = Path(name)
    if path.is_file():
        return path
    raise ScenarioError(
        f"{name}: no such scenario; give the path of a YAML file, or one of: {', '.join(library())}"
    )


def read(path: Path) -> Document:
    """Read a scenario file.

    Raises:
        ScenarioError: it cannot be read, or is not a YAML mapping.
    """
    try:
        read_text = text.read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read ({error})") from error
    except text.TextError as error:
        line = f", line {error.line}" if error.line else ""
        raise ScenarioError(f"{path}{line}: {error.problem}") from error
    fields = read_text.value
    if not isinstance(fields, dict):
        raise ScenarioError(f"{path}: a scenario is a mapping of fields, such as `name: mine`")
    document = Document(str(path), fields, read_text.lines)
    log = fields.get("workload", {}).get("log") if isinstance(fields.get("workload"), dict) else None
    if isinstance(log, str):
        fields["workload"]["log"] = _beside(path, log)
    elif isinstance(log, list):
        fields["workload"]["log"] = [_beside(path, one) for one in log]
    return document


def _beside(path: Path, log: object) -> object:
    """Return a log as a scenario's file names it: beside the file, unless it is `-` or absolute."""
    return str(path.parent / log) if isinstance(log, str) and log != "-" else log


def build(document: Document) -> Scenario:
    """Spread the document's lists into the matrix of variants, and check every one.

    Raises:
        ScenarioError: a field is unknown or wrong, or the matrix is impossible.
    """
    run_names = set(RunSettings.model_fields)
    run_fields = {name: value for name, value in document.fields.items() if name in run_names}
    variant_fields = {name: value for name, value in document.fields.items() if name not in run_names}
    run = _open_ended(_checked(RunSettings, run_fields, document))
    factors = {path: levels for path, levels in _leaves(variant_fields) if isinstance(levels, list)}
    named = Document(document.source, variant_fields, document.lines, document.options)
    cases = list(_cases(run, named))
    _check_factors(factors, len(cases), document)

    varied: list[Path_] = [*([("label",)] if run.cases else []), *factors]
    variants: dict[tuple[tuple[str, Any], ...], Variant] = {}
    read_levels: dict[str, list[Any]] = {".".join(path): [] for path in varied}
    for case, levels in itertools.product(cases, itertools.product(*factors.values())):
        point = _with_levels(case.fields, dict(zip(factors, levels, strict=True)))
        settings = _checked(Settings, point, case)
        read = {".".join(path): _value_at(settings, path) for path in varied}
        for name, value in read.items():
            if value not in read_levels[name]:
                read_levels[name].append(value)
        used = {name: value for name, value in read.items() if not name.startswith(settings.layout.unused)}
        identity = tuple(sorted({"topology": settings.topology, **used}.items()))
        if identity not in variants:
            name = _unlike(_variant_id(settings, used), [known.id for known in variants.values()])
            variants[identity] = Variant(id=name, levels=used, **dict(settings))
    _check_used(factors, variants.values(), document)
    try:
        thresholds.check(
            run.thresholds, [name for found in variants.values() for name in (found.topology, found.id)]
        )
    except ValueError as error:
        raise ScenarioError(f"{document.where(('thresholds',))}: {error}") from error
    return Scenario(**dict(run), factors=read_levels, variants=tuple(variants.values()))


def _open_ended(run: RunSettings) -> RunSettings:
    """Let blocks be added where a precision or a budget says what for, or for how long."""
    schedule = run.schedule
    wanted = schedule.budget is not None or run.precision != Precision()
    if schedule.most_blocks is not None or not wanted:
        return run
    most = min(MORE_BLOCKS * schedule.blocks, 1000)
    return run.model_copy(update={"schedule": schedule.model_copy(update={"most_blocks": most})})


def load(name: str, overrides: Mapping[str, object] | None = None) -> Scenario:
    """Find, read, override and check a scenario: all that a caller needs.

    Raises:
        ScenarioError: it cannot be used; the message says where and why.
    """
    return build(override(read(find(name)), overrides or {}))


def _cases(run: RunSettings, document: Document) -> Iterator[Document]:
    """Yield the fields of each case, those that it does not set included; without cases, the one there is."""
    if not run.cases:
        yield document
        return
    leaves = dict(_leaves(document.fields))
    if ("label",) in leaves:
        raise ScenarioError(f"{document.where(('label',))}: cases already set the label; remove it")
    for name, changed in run.cases.items():
        lines, overrides = dict(document.lines), {"label": name}
        for path, value in _leaves(changed):
            place = ("cases", name, *path)
            if isinstance(value, list) or isinstance(leaves.get(path), list):
                raise ScenarioError(
                    f"{document.where(place)}: a field can be set by the cases or varied by a list, but "
                    "not both"
                )
            overrides[".".join(path)] = value
            written = {path[:n]: place[: n + 2] for n in range(1, len(path) + 1)}
            lines |= {known: document.lines[at] for known, at in written.items() if at in document.lines}
        yield Document(document.source, override(document, overrides).fields, lines, document.options)


def _check_factors(factors: Mapping[Path_, list[Any]], cases: int, document: Document) -> None:
    size = cases
    for path, levels in factors.items():
        if not levels:
            raise ScenarioError(f"{document.where(path)}: an empty list has nothing to compare; add a value")
        if any(isinstance(level, list | dict) for level in levels):
            raise ScenarioError(f"{document.where(path)}: each level of a factor must be a single value")
        if len({repr(level) for level in levels}) < len(levels):
            raise ScenarioError(f"{document.where(path)}: a level is listed twice; remove one of them")
        size *= len(levels)
    if size > MOST_VARIANTS:
        spelled = " × ".join(f"{len(levels)} of {'.'.join(path)}" for path, levels in factors.items())
        if cases > 1:
            spelled = f"{cases} cases × {spelled}"
        raise ScenarioError(
            f"{document.source}: {spelled} make {size} variants; "
            f"at most {MOST_VARIANTS} can be compared in one run"
        )


def _check_used(factors: Iterable[Path_], variants: Iterable[Variant], document: Document) -> None:
    used = {name for variant in variants for name in variant.levels}
    for path in factors:
        if ".".join(path) not in used:
            raise ScenarioError(
                f"{document.where(path)}: none of the compared topologies uses it; give it a single value"
            )


def _checked(model: type[_Model], fields: dict[str, Any], document: Document) -> _Model:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False):
            path = tuple(str(part) for part in detail["loc"])
            known = _known_fields(model, path[:-1])
            if detail["type"] == "extra_forbidden":
                problem = f"unknown field; known fields: {', '.join(known)}"
            else:
                problem = detail["msg"].removeprefix("Value error, ")
                if detail["type"] != "missing" and not isinstance(detail["input"], dict | Settings):
                    problem += f" (it is {short(repr(detail['input']))})"
            problems.append(f"{document.where(path)}: {problem}")
        raise ScenarioError("\n".join(dict.fromkeys(problems))) from error


def _known_fields(model: type[RunSettings] | type[Settings], path: Sequence[str]) -> list[str]:
    if not path:
        return sorted({*RunSettings.model_fields, *Settings.model_fields})
    fields = model.model_fields
    for part in path:
        annotation = fields[part].annotation if part in fields else None
        fields = getattr(annotation, "model_fields", {})
    return sorted(field.alias or name for name, field in fields.items())


def _leaves(fields: Mapping[str, Any], path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, str(name)))
        else:
            yield (*path, str(name)), value


def _with_levels(fields: Mapping[str, Any], levels: Mapping[Path_, Any]) -> dict[str, Any]:
    point = copied(fields)
    for path, level in levels.items():
        parent = point
        for part in path[:-1]:
            parent = parent[part]
        parent[path[-1]] = level
    return point


def _value_at(settings: Settings, path: Path_) -> Any:
    value: Any = settings
    for part in path:
        value = getattr(value, _ATTRIBUTES.get(part, part))
    return str(value) if isinstance(value, Path) else value


def _variant_id(settings: Settings, levels: Mapping[str, Any]) -> str:
    """`separate-ttl5-no_lease`: the topology, its label, then each other factor's last name and level."""
    parts: list[str] = [settings.topology, *([settings.label] if settings.label else [])]
    for name, value in levels.items():
        if name not in ("topology", "label"):
            parts.append(_level(name.rsplit(".", 1)[-1], value))
    return "-".join(parts)


def _unlike(name: str, taken: Sequence[str]) -> str:
    """Number a name that another variant has already: two logs of one name, 0.1234567 and 0.1234568."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(free for free in names if free not in taken)


def _level(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"no_{name}"
    written = f"{value:g}" if isinstance(value, float) else str(value).rsplit("/", 1)[-1]
    return name + _UNNAMEABLE.sub("_", written)
