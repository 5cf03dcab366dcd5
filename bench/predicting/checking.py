"""`predict --check RUN`: a stored run's trials beside what is predicted for their own requests."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.errors import UserError
from bench.store import RunFolder
from reports.prediction.check import MOST_HITS, MOST_MEAN, Check, Checked, check


def compare(console: Console, results: Path, name: str) -> bool:
    """Print the comparison; return whether every trial agrees with its prediction.

    Raises:
        UserError: there is no such run, or none of its trials can be compared.
        ResultsError: the run cannot be read.
    """
    found = check(RunFolder.find(results, name).path)
    if not found.trials:
        reasons = "; ".join(found.left_out) or "none of its trials is valid"
        raise UserError(f"--check {name}: nothing can be compared ({reasons})")
    console.print(_table(found))
    for sentence in found.left_out:
        console.print(f"Left out: {sentence}.", style="yellow")
    agreeing = sum(trial.agrees for trial in found.trials)
    console.print(
        f"{agreeing} of {len(found.trials)} trials agree with their prediction: hit ratios within "
        f"{MOST_HITS * 100:g} point, means within {MOST_MEAN:.0%}."
    )
    return found.agrees


def _table(found: Check) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, head in enumerate(
        ("trial", "hit ratio", "predicted", "points", "mean", "predicted", "off", "")
    ):
        table.add_column(head, justify="left" if place in (0, 7) else "right")
    for trial in found.trials:
        table.add_row(*_cells(trial))
    return table


def _cells(trial: Checked) -> list[str]:
    points = (trial.predicted_hit_ratio - trial.hit_ratio) * 100
    cells = [trial.trial, f"{trial.hit_ratio:.2%}", f"{trial.predicted_hit_ratio:.2%}", f"{points:+.2f}"]
    if trial.mean_ms is None or trial.predicted_mean_ms is None:
        return [*cells, "–", "–", "–", "" if trial.agrees else "no"]
    off = trial.predicted_mean_ms / trial.mean_ms - 1
    means = [f"{trial.mean_ms:.3g} ms", f"{trial.predicted_mean_ms:.3g} ms", f"{off:+.1%}"]
    return [*cells, *means, "" if trial.agrees else "no"]
