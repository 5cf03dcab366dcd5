"""Thresholds: what a run must meet, written as people say it.

    p99_ms <= 20                              every variant
    sidecar.p99_ms <= 20                      the variants of a topology, or one variant by its id
    upstream_reduction >= 80%
    separate.p50_ms <= sidecar.p50_ms * 1.1   one against the other, in the same block

In a scenario also as mappings: `p99_ms: {max: 20}`, `upstream_reduction: {min: 0.8}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from scenarios import units
from scenarios.metrics import BY_NAME

_SIDE: Final = r"(?:([A-Za-z0-9][\w.-]*)\.)?([a-z][a-z0-9_]*)"
_THRESHOLD: Final = re.compile(
    rf"\s*{_SIDE}\s*(<=|>=|<|>)\s*(?:([0-9.]+%?)|{_SIDE}(?:\s*\*\s*([0-9.]+))?)\s*", re.ASCII
)


@dataclass(frozen=True)
class Side:
    """A metric, of the variants that `of` names by topology or id; of all where it is None."""

    of: str | None
    metric: str


@dataclass(frozen=True)
class Threshold:
    """`left` must be at most (or at least) `bound`, or `factor` times `right`."""

    text: str
    left: Side
    at_most: bool
    bound: float | None
    right: Side | None = None
    factor: float = 1.0


def parse(text: str) -> Threshold:
    """Read a threshold.

    Raises:
        ValueError: it is not understood, or names no metric.
    """
    found = _THRESHOLD.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} cannot be read; write METRIC <= NUMBER, such as p99_ms <= 20, "
            "or separate.p50_ms <= sidecar.p50_ms * 1.1"
        )
    of, metric, sign, number, right_of, right_metric, factor = found.groups()
    left, at_most = Side(of, _metric(metric)), sign in ("<=", "<")
    if number is not None:
        return Threshold(text.strip(), left, at_most, float(str(units.share(number))))
    right = Side(right_of, _metric(right_metric))
    return Threshold(text.strip(), left, at_most, None, right, float(factor or 1))


def _metric(name: str) -> str:
    for known in (name, f"{name}_ms"):
        if known in BY_NAME:
            return known
    raise ValueError(f"{name!r} is not a metric; known: {', '.join(BY_NAME)}")


def check(texts: Iterable[str], names: Iterable[str]) -> None:
    """Check that thresholds speak of variants that there are (ids and topologies).

    Raises:
        ValueError: one does not.
    """
    known = list(dict.fromkeys(names))
    for threshold in map(parse, texts):
        for side in (threshold.left, threshold.right):
            if side is not None and side.of is not None and side.of not in known:
                raise ValueError(f"{threshold.text!r}: no variant {side.of!r}; known: {', '.join(known)}")


def _listed(value: object) -> object:
    """Spread mappings (`p99_ms: {max: 20}`) into texts; pydantic refuses what is neither."""
    if isinstance(value, Mapping):
        return [text for name, bounds in value.items() for text in _texts(name, bounds)]
    if isinstance(value, list | tuple):
        return [text for entry in value for text in (_listed_entry(entry))]
    return value


def _listed_entry(entry: Any) -> list[Any]:
    if isinstance(entry, Mapping):
        return [text for name, bounds in entry.items() for text in _texts(name, bounds)]
    if isinstance(entry, str):
        parse(entry)
    return [entry]


def _texts(name: Any, bounds: Any) -> list[str]:
    signs = {"max": "<=", "min": ">="}
    if not isinstance(bounds, Mapping) or not bounds or set(bounds) - set(signs):
        raise ValueError(f"{name}: write {{max: NUMBER}} or {{min: NUMBER}}")
    texts = [f"{name} {signs[which]} {bound}" for which, bound in bounds.items()]
    for text in texts:
        parse(text)
    return texts


_BOUNDS: Final = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {name: {"type": ["number", "string"]} for name in ("min", "max")},
    },
}
Thresholds = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema(
        {"anyOf": [_BOUNDS, {"type": "array", "items": {"anyOf": [{"type": "string"}, _BOUNDS]}}]},
        mode="validation",
    ),
]
