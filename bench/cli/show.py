"""Scenarios, runs and verdicts, shown on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import reports
from bench import runs
from bench.predicting import of_run
from bench.store import RunFolder
from bench.terminal import tables
from reports.analysis.verdict import findable, open_threshold
from reports.calls import sentences
from reports.summary import refusals
from reports.summary.model import Summary
from scenarios.model import Scenario, Variant
from scenarios.reading import document
from scenarios.reading.document import ScenarioError
from scenarios.tried import as_tried

_JUDGED: Final = {
    "pass": ("met", "green"),
    "fail": ("violated", "red"),
    "undecided": ("undecided", "yellow"),
}


def verdict(console: Console, run: RunFolder) -> Summary:
    """Write the run's report, then print its verdict, its table and where the report is."""
    summary = reports.write(run.path, of_run.explorer)
    found(console, summary)
    console.print(f"Report: {run.path / 'report.html'}", soft_wrap=True)
    return summary


def found(console: Console, summary: Summary) -> None:
    """Print the result of a run."""
    console.print()
    console.print(summary.verdict, style="bold")
    console.print()
    for table in tables.of(summary, console):
        console.print(table)
    for variant in summary.variants:
        console.print(sentences.of_variant(variant))
    for result in summary.thresholds:
        far = f": {far} to decide" if (far := open_threshold(result)) else ""
        console.print(Text(*_JUDGED[result.outcome]) + f" {result.text} ({result.variant}){far}")
    for refused in summary.refused:
        console.print(refusals.sentence(refused), style="yellow")
    console.print(f"{refusals.tally(summary.trials)}; {summary.stopping.reason}.")
    if said := findable(summary.comparisons):
        console.print(said)


def scenario(console: Console, read: Scenario) -> None:
    """Print what a scenario compares, how long it will take, and what it cannot decide."""
    schedule = read.schedule
    console.print(f"{read.name}: {read.description}", style="bold")
    table = Table(box=None, pad_edge=False)
    for heading in ("variant", "topology", "replicas", "TTL", "RTT", "traffic"):
        table.add_column(heading)
    for variant in read.variants:
        workload = variant.workload
        traffic = (
            f"{workload.log}" if workload.log else f"{workload.rate:g}/s over {workload.keys.count} paths"
        )
        table.add_row(
            variant.id,
            variant.topology,
            str(variant.replicas),
            _ttl(variant),
            f"{variant.link.rtt_ms:g} ms" if variant.layout.linked else "–",
            traffic,
        )
    console.print(table)
    trials = len(read.variants) * schedule.blocks
    load_s = trials * (schedule.warmup + schedule.duration)
    console.print(
        f"{schedule.blocks} blocks × {len(read.variants)} variants = {trials} trials, "
        f"{load_s / 60:.1f} minutes of load, plus about 3 s per trial for deployment"
    )


def remarks(console: Console, sentences: Sequence[str]) -> None:
    """Print what a run of a scenario will not be able to decide."""
    for sentence in sentences:
        console.print(sentence, style="yellow")


def _ttl(variant: Variant) -> str:
    """Return a TTL as production has it and, where a log is replayed faster than it was, as it is tried."""
    if not variant.layout.cached:
        return "–"
    tried = as_tried(variant).cache.ttl
    return f"{variant.cache.ttl:g} s" + (f" (tried: {tried:g} s)" if tried != variant.cache.ttl else "")


def listing(console: Console, library: Mapping[str, Path], stored_runs: Sequence[RunFolder]) -> None:
    """Print the scenarios of the library and the runs that are stored."""
    table = Table(title="Scenarios", title_justify="left", box=None, pad_edge=False, show_header=False)
    for name, path in library.items():
        table.add_row(name, _described(path))
    console.print(table)
    console.print()
    if not stored_runs:
        console.print("No runs yet; start one with: sidecar-bench run quick")
        return
    console.print("Runs", style="italic")
    for run in stored_runs:
        overview = runs.overview(run.path)
        console.print(f"{run.path.name}  {overview.state}", soft_wrap=True)
        for line in (overview.compared, overview.verdict):
            if line:
                console.print(Padding(line, (0, 0, 0, 4)))


def _described(path: Path) -> str:
    try:
        return str(document.read(path).fields.get("description", ""))
    except ScenarioError as error:
        return str(error)
