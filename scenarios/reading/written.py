"""A scenario as it is written, in a file and on the command line: its fields, and where each stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scenarios.reading import text

Path_ = tuple[str, ...]
_FILES: Final = ("workload.log",)  # fields that name files


class ScenarioError(ValueError):
    """A scenario that cannot be used. The message names the file, the field and the remedy."""


@dataclass(frozen=True)
class Given:
    """A value that the command line gives a field, and the option that gave it."""

    value: object
    option: str


@dataclass(frozen=True)
class Document:
    """A scenario as it is written: nested mappings, the line of each field, and the options that set some."""

    source: str
    fields: dict[str, Any]
    lines: dict[Path_, int] = field(default_factory=dict)
    options: dict[Path_, str] = field(default_factory=dict)

    def where(self, path: Path_) -> str:
        """Say where a field stands: `scenarios/quick.yaml, line 7, cache.ttl`, or `--ttl, cache.ttl`."""
        dotted = ".".join(path)
        for upto in range(len(path), 0, -1):
            if path[:upto] in self.options:
                return f"{self.options[path[:upto]]}, {dotted}"
            if path[:upto] in self.lines:
                return f"{self.source}, line {self.lines[path[:upto]]}, {dotted}"
        return f"{self.source}, {dotted}" if dotted else self.source


def override(document: Document, overrides: Mapping[str, object]) -> Document:
    """Return the document with fields replaced: values by dotted name (`cache.ttl`).

    Raises:
        ScenarioError: a name goes through something that is not a mapping.
    """
    fields = copied(document.fields)
    lines, options = dict(document.lines), dict(document.options)
    for dotted, given in overrides.items():
        value, option = (given.value, given.option) if isinstance(given, Given) else (given, "")
        path = tuple(dotted.split("."))
        parent = fields
        for part in path[:-1]:
            parent = parent.setdefault(part, {})
            if not isinstance(parent, dict):
                raise ScenarioError(f"--set {dotted}: {part} is a value and has no fields")
        parent[path[-1]] = value
        lines = {known: line for known, line in lines.items() if known[: len(path)] != path}
        if option:
            options[path] = option
    return Document(document.source, fields, lines, options)


def parse_assignment(assignment: str) -> tuple[str, object]:
    """Read `cache.ttl=5` or `cache.ttl=[5, 10]`: the value is YAML.

    Raises:
        ScenarioError: there is no `=`, or the value is not YAML.
    """
    name, equals, value = assignment.partition("=")
    if not (name and equals):
        raise ScenarioError(f"--set {assignment}: write FIELD=VALUE, such as --set cache.ttl=5")
    if name.strip() in _FILES:
        return name.strip(), _file_name(value.strip())
    return name.strip(), parse_value(value, f"--set {assignment}")


def _file_name(name: str) -> object:
    """Read a file's name as it is written, whatever YAML would make of it; a list of names makes a factor."""
    if Path(name).exists():
        return name
    if name.startswith("[") and name.endswith("]"):
        return [_unquoted(part.strip()) for part in name[1:-1].split(",")]
    return _unquoted(name)


def _unquoted(name: str) -> str:
    quoted = len(name) > 1 and name[0] == name[-1] and name[0] in "\"'"
    return name[1:-1] if quoted else name


def parse_value(written: str, option: str) -> object:
    """Read a value that the command line gives; it is YAML.

    Raises:
        ScenarioError: it is not YAML; the message begins with the option.
    """
    try:
        return text.read(written).value
    except text.TextError as error:
        raise ScenarioError(f"{short(option)}: {error.problem}") from error


def copied(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy whose nested mappings are copies, too."""
    return {name: copied(value) if isinstance(value, dict) else value for name, value in fields.items()}


def short(said: str) -> str:
    """Return text that is short enough for a message."""
    return said if len(said) <= 200 else f"{said[:200]}…"
