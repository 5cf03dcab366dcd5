"""YAML as people write it, read safely: what is odd in it is an error with a line, not a surprise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

Names = tuple[str, ...]
_DEEPEST: Final = 50
_MOST_NODES: Final = 100_000


class TextError(ValueError):
    """Text that cannot be used as YAML: what is wrong, and on which line (from 1; None: not known)."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


@dataclass(frozen=True)
class Text:
    """A YAML document: its value, and the line on which each field of its mappings stands."""

    value: Any
    lines: dict[Names, int]


def read(text: str) -> Text:
    """Read YAML.

    Raises:
        TextError: it is no YAML, a mapping has a field twice, or it is nested or repeated beyond all use.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _check(root)
        return Text(yaml.safe_load(text), dict(_lines(root)) if root is not None else {})
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise TextError(f"not valid YAML: {error.problem}", line) from error
    except yaml.YAMLError as error:
        raise TextError(f"not valid YAML: {error}") from error
    except RecursionError as error:
        raise TextError(f"nested more than {_DEEPEST} levels deep") from error
    except TextError:
        raise
    except ValueError as error:  # a number of thousands of digits, a date that is none
        raise TextError(f"not valid YAML: {error}") from error


def _check(root: yaml.Node) -> None:
    """Refuse what would take for ever to spread out, or say one thing and mean another."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, above: tuple[int, ...]) -> int:
        if id(node) in above:
            raise TextError("an alias refers to something that contains it", node.start_mark.line + 1)
        if len(above) > _DEEPEST:
            raise TextError(f"nested more than {_DEEPEST} levels deep", node.start_mark.line + 1)
        if id(node) not in sizes:
            inside = (*above, id(node))
            sizes[id(node)] = 1 + sum(size(child, inside) for child in _children(node))
        return sizes[id(node)]

    if size(root, ()) > _MOST_NODES:
        raise TextError(f"its aliases stand for more than {_MOST_NODES:,} values")


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise TextError("a field name must be plain text", line)
            if key.value in seen:
                raise TextError(f"{key.value} is given twice, first on line {seen[key.value]}", line)
            seen[key.value] = line
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _lines(node: yaml.Node, names: Names = ()) -> Iterator[tuple[Names, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*names, str(key.value))
            yield here, key.start_mark.line + 1
            yield from _lines(value, here)
