"""What a run means: stored trials in, statistics, theory, verdict, figures and one HTML page out.

The functions below are all that a caller needs. They import the scientific libraries when they
are called, not before: the conductor reads `reports.stored.records` and `reports.trial.validity` while it
measures, and wants to be light.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reports.errors import ResultsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reports.analysis.run import Analysis
    from reports.inference.stopping import Decision
    from reports.render.html import Part
    from reports.summary.model import Summary

__all__ = ["ResultsError", "decide", "exit_code", "summarize", "write"]


def summarize(run: Path) -> Summary:
    """Work out what a stored run has found, without writing anything.

    Raises:
        ResultsError: the run cannot be read, or holds no trial yet.
    """
    from reports.analysis.run import analyse

    return analyse(run).summary


def write(run: Path, explorer: Callable[[Analysis], Part | None] | None = None) -> Summary:
    """Write `report.html` and `summary.json` into a stored run's folder, and return the summary.

    `explorer` makes a part of the page from the analysis, or none.

    Raises:
        ResultsError: the run cannot be read, holds no trial yet, or its folder cannot be written.
    """
    from reports.analysis.run import analyse
    from reports.render.page import page
    from reports.stored.runs import put

    analysis = analyse(run)
    put(run / "summary.json", analysis.summary.model_dump_json(indent=2, by_alias=True) + "\n")
    put(run / "report.html", page(analysis, explorer(analysis) if explorer else None))
    return analysis.summary


def decide(run: Path) -> Decision:
    """Say, after a block, whether a run may end: `stop`, and a sentence on why.

    Raises:
        ResultsError: the run cannot be read, or holds no trial yet.
    """
    from reports.analysis.run import decision

    return decision(run)


def exit_code(summary: Summary) -> int:
    """Return what the command that made a run should exit with.

    0: every threshold is met; or there is none, and something was decided. 1: one is violated, by its
    interval. 3: a threshold is undecided; or there is none, and nothing was decided; or neither counts nor
    latencies of any trial can be believed.
    (2 is for what the user can fix, 4 for a run that itself failed.)
    """
    from scenarios.metrics import DECISIVE

    outcomes = {result.outcome for result in summary.thresholds}
    if "fail" in outcomes:
        return 1
    decisions = {found.decision for found in summary.comparisons if found.metric in DECISIVE}
    nothing_decided = not outcomes and decisions == {"undecided"}
    no_trial = not any(trial.counts_valid or trial.times_valid for trial in summary.trials)
    return 3 if "undecided" in outcomes or nothing_decided or no_trial else 0
