"""What the stub upstream is told of a log, the same on every stack."""

from __future__ import annotations

from pathlib import Path

from scenarios.model import Workload


def stub_log(workload: Workload, answers: Path) -> dict[str, object]:
    """Return the stub's variables for a workload's log, whose table of answers it finds at `answers`."""
    timed = {"UPSTREAM_LOG_SPEEDUP": workload.speedup} if workload.arrivals == "log" else {}
    return {"UPSTREAM_LOG": answers, "UPSTREAM_LOG_FROM_S": workload.from_} | timed
