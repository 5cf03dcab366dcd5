"""Later sessions of a run: was it another machine, or were it other versions, that went on with it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from reports.stored.files import parse
from reports.stored.records import Resume, RunRecord

# What is free changes from minute to minute, and a total is rounded.
_VARIES: Final = ("memory_gib",)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in what two environments differ, such as `python: 3.11.7, then 3.13.0`."""
    first, then = dict(_flat(before)), dict(_flat(now))
    return [
        f"{name.replace('_', ' ')}: {first[name]}, then {then[name]}"
        for name in first
        if name in then and name not in _VARIES and first[name] != then[name]
    ]


def notes(folder: Path, run: RunRecord) -> Iterator[str]:
    """Say of each later session in what it differed from the first.

    Raises:
        ResultsError: its file is damaged.
    """
    for path in sorted(folder.glob("resume-*.json"), key=lambda path: (len(path.name), path.name)):
        session = parse(Resume, path, "remove it")
        found = differences(run.environment, session.environment)
        if found:
            yield (
                f"The run was resumed at {session.started} on another machine, or with other versions, and "
                f"its trials from then on were measured there ({'; '.join(found)})."
            )


def _flat(environment: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in environment.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{name} ")
        else:
            yield f"{prefix}{name}", value
