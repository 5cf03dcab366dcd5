"""Which variants are compared with which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scenarios.model import Scenario, Variant


@dataclass(frozen=True)
class Pair:
    """Two variants to compare: `b` against `a`. `setting` says what both have in common."""

    a: Variant
    b: Variant
    setting: str


def pairs(scenario: Scenario) -> list[Pair]:
    """Return the comparisons of a scenario.

    Variants that differ in topology alone, where there are such: at equal levels of the factors that
    both use, so that one sidecar is compared with `separate` at each RTT. Else each level of each
    factor against that factor's first level, all others being equal.
    """
    across = list(_across_topologies(scenario))
    return across or list(_across_levels(scenario))


def baseline(scenario: Scenario, variant: Variant) -> Variant | None:
    """Return the variant without a cache that a variant's saving is counted from, where the run has it."""
    for other in scenario.variants:
        if not other.layout.cached and agree(other, variant):
            return other
    return None


def _across_topologies(scenario: Scenario) -> Iterator[Pair]:
    for place, one in enumerate(scenario.variants):
        for other in scenario.variants[place + 1 :]:
            if one.topology != other.topology and agree(one, other):
                # The baseline first, then what needs less; `b` is judged against `a`.
                a, b = sorted((one, other), key=lambda variant: variant.layout.rank)
                yield Pair(a, b, described({**_levels(a), **_levels(b)}))


def _across_levels(scenario: Scenario) -> Iterator[Pair]:
    for factor, levels in scenario.factors.items():
        for b in scenario.variants:
            for a in scenario.variants:
                if a.levels.get(factor) != levels[0] or factor not in b.levels or a is b:
                    continue
                others = {name for name in {*a.levels, *b.levels} if name != factor}
                if all(a.levels.get(name) == b.levels.get(name) for name in others):
                    yield Pair(a, b, described({name: b.levels[name] for name in sorted(others)}))


def agree(one: Variant, other: Variant) -> bool:
    """Whether two variants stand at equal levels of every factor that both use, topology aside."""
    first, second = _levels(one), _levels(other)
    return all(first[name] == second[name] for name in first.keys() & second.keys())


def _levels(variant: Variant) -> dict[str, Any]:
    return {name: level for name, level in variant.levels.items() if name != "topology"}


def described(levels: Mapping[str, Any]) -> str:
    """Say levels in words: `TTL 5 s, RTT 0.3 ms`; empty where nothing varies."""
    return ", ".join(_level(name, value) for name, value in levels.items())


def _level(name: str, value: Any) -> str:
    words = {
        "label": "{}",
        "cache.ttl": "TTL {} s",
        "link.rtt_ms": "RTT {} ms",
        "workload.rate": "{} requests/s",
    }
    several = isinstance(value, list | tuple)
    shown = ", ".join(_plain(level) for level in value) if several else _plain(value)
    if name == "replicas":
        return f"{shown} replica{'s' if several or value != 1 else ''}"
    if name in words:
        return words[name].format(shown)
    return f"{name.rpartition('.')[2].replace('_', ' ')} {shown}"


def _plain(level: Any) -> str:
    if isinstance(level, bool):
        return "on" if level else "off"
    return f"{level:g}" if isinstance(level, float) else str(level)
