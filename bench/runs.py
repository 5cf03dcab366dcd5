"""Stored runs at a glance, for a list of hundreds: two files of each are read; a damaged one is a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.store import END, RUN, TRIAL

SUMMARY: Final = "summary.json"


@dataclass(frozen=True)
class Overview:
    """One run: how far it came, what it compares, and its verdict; empty where that is not known."""

    state: str
    compared: str = ""
    verdict: str = ""


def overview(folder: Path) -> Overview:
    """Look at a run without recomputing anything."""
    try:
        run = _read(folder / RUN)
        scenario = run["scenario"]
        compared = "; ".join(_compared(scenario))
        planned = len(scenario["variants"]) * scenario["schedule"]["blocks"]
        stack = run["stack"]["name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return Overview(f"cannot be read ({_said(error)})")
    done = len({path.parent.name.partition("-attempt")[0] for path in folder.glob(f"trials/*/{TRIAL}")})
    ended = (folder / END).exists()
    try:
        summary = _read(folder / SUMMARY)
        valid = sum(1 for trial in summary["trials"] if trial["valid"])
        state = f"{stack}, {valid} of {len(summary['trials'])} trials valid"
        verdict = str(summary["verdict"])
    except (OSError, ValueError, KeyError, TypeError):
        state, verdict = f"{stack}, {done} trials of {planned} planned", ""
    return Overview(state if ended else f"{state}, not finished", compared, verdict)


def _compared(scenario: dict[str, Any]) -> list[str]:
    """Say what is varied, and the parameters that people adjust where they are not."""
    factors = scenario["factors"]
    said = [f"{name} {', '.join(map(str, levels))}" for name, levels in factors.items() if len(levels) > 1]
    first = scenario["variants"][0]
    for name, value in (
        ("replicas", first["replicas"]),
        ("cache.ttl", f"{first['cache']['ttl']:g} s"),
        ("workload.rate", f"{first['workload']['rate']:g}/s"),
    ):
        if len(factors.get(name, ())) < 2:
            said.append(f"{name} {value}")
    return said


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise TypeError(f"{path.name} holds no object")
    return found


def _said(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{RUN} lacks {error}"
    return str(error) or type(error).__name__
