"""Scenarios, runs and verdicts, shown on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

import reports
from bench.store import RunFolder
from reports import refusals
from reports.calls import sentences
from reports.metrics import BY_NAME, Metric
from reports.summary import Comparison, Summary, VariantSummary
from reports.verdict import findable, open_threshold
from scenarios import document
from scenarios.document import ScenarioError
from scenarios.model import Scenario

_SHOWN: Final = tuple(
    BY_NAME[name]
    for name in (
        "p50_ms",
        "hit_p50_ms",
        "p99_ms",
        "hit_ratio",
        "upstream_calls_per_1000",
        "upstream_reduction",
    )
)
_CALLS, _SAVED, _ERRORS = (
    BY_NAME[name] for name in ("upstream_calls_per_1000", "upstream_reduction", "error_ratio")
)
_MOST_COLUMNS: Final = 4
_INTERVAL: Final = len("+10.5 points [+10.1, +10.9]")
_STYLES: Final = {"better": "green", "worse": "red", "equivalent": "blue", "undecided": "yellow"}
_KEPT: Final = {"pass": "[green]kept[/]", "fail": "[red]broken[/]", "undecided": "[yellow]undecided[/]"}


def verdict(console: Console, run: RunFolder) -> Summary:
    """Write the run's report, then print its verdict, its table and where the report is."""
    summary = reports.write(run.path)
    found(console, summary)
    console.print(f"Report: {run.path / 'report.html'}", soft_wrap=True, highlight=False)
    return summary


def found(console: Console, summary: Summary) -> None:
    """Print what a run has found."""
    console.print()
    console.print(summary.verdict, style="bold", highlight=False, markup=False)
    console.print()
    few = len(summary.variants) <= _MOST_COLUMNS
    console.print(_by_metric(summary) if few else _by_variant(summary))
    if not few and summary.comparisons:
        console.print(_compared(summary))
    for variant in summary.variants:
        console.print(sentences.of_variant(variant), highlight=False, markup=False)
    for result in summary.thresholds:
        far = f": {far} to decide" if (far := open_threshold(result)) else ""
        console.print(f"{_KEPT[result.outcome]} {result.text} ({result.variant}){far}", highlight=False)
    for refused in summary.refused:
        console.print(refusals.sentence(refused), style="yellow", highlight=False, markup=False)
    console.print(f"{refusals.tally(summary.trials)}; {summary.stopping.reason}.", highlight=False)
    if said := findable(summary.comparisons):
        console.print(said, highlight=False)


def _of(variant: VariantSummary, metric: Metric) -> str:
    estimate = getattr(variant.metrics, metric.name)
    return metric.text(estimate.value if estimate else None)


def _shown(summary: Summary) -> tuple[Metric, ...]:
    """Return the metrics of the table: failed requests among them where there are any."""
    shares = (variant.metrics.error_ratio for variant in summary.variants)
    failed = any(share is not None and share.value > 0 for share in shares)
    return (*_SHOWN, _ERRORS) if failed else _SHOWN


def _by_metric(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for variant in summary.variants:
        table.add_column(variant.id, justify="right", overflow="fold")
    compared: dict[str, Comparison] = {}
    pairs = {(comparison.a, comparison.b) for comparison in summary.comparisons}
    if len(pairs) == 1:
        compared = {comparison.metric: comparison for comparison in summary.comparisons}
        ((a, b),) = pairs
        heading = f"{b} − {a} [95%]"
        # An interval stays on one line, and labels wrap, unless names are so long that everything has to.
        table.add_column(heading, justify="right", overflow="fold", no_wrap=len(heading) <= _INTERVAL)
        table.add_column(f"{b} is", overflow="fold")
    for metric in _shown(summary):
        cells = [_of(variant, metric) for variant in summary.variants]
        if compared:
            cells += _difference(metric, compared.get(metric.name))
        table.add_row(metric.label, *cells)
    return table


def _difference(metric: Metric, comparison: Comparison | None) -> list[str]:
    if comparison is None or comparison.difference is None:
        return ["–", ""]
    shown = metric.text(comparison.difference, sign=True)
    if comparison.ci95 is not None:
        low, high = (metric.text(end, sign=True, unit=False) for end in comparison.ci95)
        shown += f" [{low}, {high}]".replace("[", "\\[")
    return [shown, f"[{_STYLES[comparison.decision]}]{comparison.decision}[/]"]


def _by_variant(summary: Summary) -> Table:
    shown = _shown(summary)
    if _ERRORS in shown:  # beside them there is no room for both of the metrics that say the same
        shown = tuple(metric for metric in shown if metric is not _CALLS)
    rows = [([variant.id], [Text(_of(variant, metric)) for metric in shown]) for variant in summary.variants]
    return _grid([""], shown, rows)


def _compared(summary: Summary) -> Table:
    shown = [metric for metric in _shown(summary) if metric is not _SAVED]  # says what the calls say
    rows = []
    for a, b in dict.fromkeys((comparison.a, comparison.b) for comparison in summary.comparisons):
        of_pair = {one.metric: one.decision for one in summary.comparisons if (one.a, one.b) == (a, b)}
        decisions = [of_pair.get(metric.name) for metric in shown]
        cells = [Text(said, _STYLES[said]) if said else Text("–") for said in decisions]
        rows.append(([b, a], cells))
    return _grid(["", "against"], shown, rows)


def _grid(
    headings: Sequence[str], metrics: Sequence[Metric], rows: Sequence[tuple[Sequence[str], Sequence[Text]]]
) -> Table:
    """Lay out a column for each heading, and one for each metric.

    Metrics' columns are as wide as their longest word; long names of variants get what is left.
    """
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for at, metric in enumerate(metrics):
        words = [*map(len, metric.label.split()), *(cells[at].cell_len for _, cells in rows)]
        table.add_column(metric.label, justify="right", width=max(words))
    for names, cells in rows:
        table.add_row(*names, *cells)
    return table


def scenario(console: Console, read: Scenario) -> None:
    """Print what a scenario compares and how long it will take."""
    schedule = read.schedule
    console.print(f"{read.name}: {read.description}", style="bold", highlight=False)
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
            f"{variant.cache.ttl:g} s" if variant.topology != "none" else "–",
            f"{variant.link.rtt_ms:g} ms" if variant.topology == "separate" else "–",
            traffic,
        )
    console.print(table)
    trials = len(read.variants) * schedule.blocks
    load_s = trials * (schedule.warmup + schedule.duration)
    console.print(
        f"{schedule.blocks} blocks × {len(read.variants)} variants = {trials} trials, "
        f"{load_s / 60:.1f} minutes of load, and about 3 s a trial to deploy",
        highlight=False,
    )


def listing(console: Console, library: Mapping[str, Path], stored_runs: Sequence[RunFolder]) -> None:
    """Print the scenarios of the library and the runs that are stored."""
    table = Table(title="Scenarios", title_justify="left", box=None, pad_edge=False, show_header=False)
    for name, path in library.items():
        table.add_row(name, _described(path))
    console.print(table)
    console.print()
    table = Table(title="Runs", title_justify="left", box=None, pad_edge=False, show_header=False)
    for run in stored_runs:
        done = len(run.ended())
        record = run.record()
        planned = len(record.scenario.variants) * record.scenario.schedule.blocks
        table.add_row(record.run_id, record.stack.name, f"{done} of {planned} trials")
    console.print(table if stored_runs else "No run is stored yet; start one with: sidecar-bench run quick")


def _described(path: Path) -> str:
    try:
        return str(document.read(path).fields.get("description", ""))
    except ScenarioError as error:
        return str(error)
