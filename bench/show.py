"""Scenarios, runs and verdicts, shown on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

import reports
from bench.store import RunFolder
from reports.summary import Comparison, Summary, VariantSummary
from scenarios import document
from scenarios.document import ScenarioError
from scenarios.model import Scenario

# Metric of summary.json: how it is called, its format, and what multiplies it for people to read.
_METRICS: Final = {
    "p50_ms": ("median latency", "{:.2f} ms", 1.0),
    "p99_ms": ("99th percentile", "{:.1f} ms", 1.0),
    "hit_ratio": ("hit ratio", "{:.1f} %", 100.0),
    "upstream_calls_per_1000": ("upstream calls per 1,000", "{:.0f}", 1.0),
    "upstream_reduction": ("upstream calls saved", "{:.1f} %", 100.0),
    "error_ratio": ("errors", "{:.2f} %", 100.0),
}
_MOST_COLUMNS: Final = 4


def verdict(console: Console, run: RunFolder) -> Summary:
    """Write the run's report, then print its verdict, its table and where the report is."""
    summary = reports.write(run.path)
    _print(console, summary)
    console.print(f"Report: {run.path / 'report.html'}", soft_wrap=True, highlight=False)
    return summary


def stored(console: Console, run: RunFolder) -> None:
    """Print what a run has found, without writing anything."""
    _print(console, reports.summarize(run.path))


def _print(console: Console, summary: Summary) -> None:
    console.print()
    console.print(summary.verdict, style="bold", highlight=False)
    console.print()
    if len(summary.variants) <= _MOST_COLUMNS:
        console.print(_by_metric(summary))
    else:
        console.print(_by_variant(summary))
    invalid = [trial for trial in summary.trials if not trial.valid]
    for trial in invalid:
        console.print(f"Left out: {trial.id}: {'; '.join(trial.reasons)}", style="yellow", highlight=False)
    if not invalid:
        console.print(f"All {len(summary.trials)} trials are valid.", highlight=False)


def _shown(metric: str, value: float | None, sign: bool = False) -> str:
    _, form, factor = _METRICS[metric]
    if value is None:
        return "–"
    return form.replace("{:", "{:+" if sign else "{:").format(value * factor)


def _of(variant: VariantSummary, metric: str) -> str:
    estimate = getattr(variant.metrics, metric)
    return _shown(metric, estimate.value if estimate else None)


def _by_metric(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for variant in summary.variants:
        table.add_column(variant.id, justify="right")
    compared = {}
    if len(summary.variants) == 2:
        compared = {comparison.metric: comparison for comparison in summary.comparisons}
        first, second = (variant.id for variant in summary.variants)
        table.add_column(f"{second} − {first} [95%]", justify="right")
    for metric, (name, _, _) in _METRICS.items():
        cells = [_of(variant, metric) for variant in summary.variants]
        if compared:
            cells.append(_difference(compared.get(metric), summary.variants[0].id))
        table.add_row(name, *cells)
    return table


def _difference(comparison: Comparison | None, first: str) -> str:
    """Show second minus first, whichever way round it is stored."""
    if comparison is None or comparison.difference is None:
        return "–"
    turn = 1.0 if comparison.a == first else -1.0
    shown = _shown(comparison.metric, turn * comparison.difference, sign=True)
    if comparison.ci95 is None:
        return shown
    low, high = sorted(turn * end for end in comparison.ci95)
    return f"{shown} [{_shown(comparison.metric, low, True)}, {_shown(comparison.metric, high, True)}]"


def _by_variant(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name, _, _ in _METRICS.values():
        table.add_column(name, justify="right")
    for variant in summary.variants:
        table.add_row(variant.id, *(_of(variant, metric) for metric in _METRICS))
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
