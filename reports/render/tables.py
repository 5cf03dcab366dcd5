"""The tables of a report: figures as text, ready for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reports.analysis.run import Analysis
from reports.analysis.verdict import how_far
from reports.render.cells import Cell, Table
from reports.statistics.estimates import mean
from reports.summary import refusals
from reports.summary.model import Comparison, MetricValue, TrialSummary
from reports.trial.measures import QUANTILES, Measures
from scenarios.metrics import BY_NAME, METRICS, Metric

_WHERE = {"all": "All requests", "hit": "Hits", "miss": "Misses and uncached"}


def results(analysis: Analysis) -> Table:
    """Return metric × variants, and the difference where there is one comparison."""
    variants = analysis.summary.variants
    single = analysis.compared[0] if len(analysis.compared) == 1 else None
    heads = ["Metric", *(variant.id for variant in variants)]
    if single is not None:
        heads += [f"Difference ({single.pair.b.id} − {single.pair.a.id})", "Verdict"]
    rows = []
    for metric in METRICS:
        row = [Cell(_capital(metric.label))]
        row += [value_cell(metric, getattr(variant.metrics, metric.name)) for variant in variants]
        comparison = single.of(metric.name) if single is not None else None
        if single is not None:
            row += _difference(metric, comparison)
        rows.append(row)
    return Table("results", heads, rows)


def variants(analysis: Analysis) -> Table:
    """Return variant × metrics, for runs of many variants."""
    shown = [metric for metric in METRICS if metric.name not in ("p90_ms", "mean_ms")]
    rows = [
        [Cell(variant.id), *(value_cell(metric, getattr(variant.metrics, metric.name)) for metric in shown)]
        for variant in analysis.summary.variants
    ]
    return Table("variants", ["Variant", *(_capital(metric.label) for metric in shown)], rows)


def compared(analysis: Analysis) -> Table:
    """Return comparison × metrics, for runs of more than one comparison."""
    shown = [metric for metric in METRICS if metric.name not in ("p90_ms", "mean_ms", "upstream_reduction")]
    rows = []
    for found in analysis.compared:
        row = [Cell(f"{found.pair.b.id} compared with {found.pair.a.id}", found.pair.setting)]
        row += [_difference_and_word(metric, found.of(metric.name)) for metric in shown]
        rows.append(row)
    return Table("compared", ["Comparison", *(_capital(metric.label) for metric in shown)], rows)


def value_cell(metric: Metric, value: MetricValue | None) -> Cell:
    """Show a metric's value, with its interval under it."""
    if value is None:
        return Cell("–")
    return Cell(metric.text(value.value), _interval(metric, value.ci95, sign=False))


def _difference(metric: Metric, comparison: Comparison | None) -> list[Cell]:
    if comparison is None or comparison.difference is None:
        return [Cell("–"), Cell("")]
    difference = Cell(
        metric.text(comparison.difference, sign=True), _interval(metric, comparison.ci95, sign=True)
    )
    return [difference, Cell(comparison.decision, _more(comparison), kind=comparison.decision)]


def _more(comparison: Comparison) -> str:
    """Say how many blocks an open question would take."""
    return how_far([comparison]) if comparison.decision == "undecided" else ""


def _difference_and_word(metric: Metric, comparison: Comparison | None) -> Cell:
    if comparison is None or comparison.difference is None:
        return Cell("–")
    return Cell(
        metric.text(comparison.difference, sign=True),
        _interval(metric, comparison.ci95, sign=True),
        ", ".join(filter(None, (comparison.decision, _more(comparison)))),
        comparison.decision,
    )


def _interval(metric: Metric, ends: tuple[float, float] | None, sign: bool) -> str:
    if ends is None:
        return ""
    low, high = (metric.text(end, sign=sign, unit=False) for end in ends)
    return f"{low} to {high}"


def percentiles(analysis: Analysis) -> Table:
    """Return latency percentiles with intervals over blocks, by variant and class of request."""
    rows = []
    for variant in analysis.scenario.variants:
        trials = analysis.timed(variant.id)
        for name, label in _WHERE.items():
            counted = sum(trial.latency[name].requests for trial in trials)
            if counted:
                rows.append(
                    [
                        Cell(variant.id, label),
                        Cell(f"{counted:,}"),
                        *(_percentile(trials, name, at) for at in QUANTILES),
                    ]
                )
    return Table("percentiles", ["Variant", "Requests", *QUANTILES], rows)


def _percentile(trials: Sequence[Measures], name: str, at: str) -> Cell:
    values = [value for trial in trials if (value := trial.latency[name].quantiles_ms[at]) is not None]
    estimate = mean(values) if values and len(values) == len(trials) else None
    if estimate is None:
        return Cell("–", "too few samples")
    metric = BY_NAME["p50_ms"]
    return Cell(metric.text(estimate.value), _interval(metric, estimate.interval(least=0.0), sign=False))


def usage(analysis: Analysis) -> Table:
    """Return what the parts of each variant's stack used."""
    rows = []
    for variant in analysis.scenario.variants:
        parts: dict[str, list[tuple[float, float, float]]] = {}
        for trial in analysis.timed(variant.id):
            for part, used in _by_part(trial).items():
                parts.setdefault(part, []).append(used)
        for part, each in sorted(parts.items()):
            cpu, memory, throttled = (sum(column) / len(each) for column in zip(*each, strict=True))
            rows.append([
                Cell(variant.id), Cell(part), Cell(f"{cpu:.2f} s"), Cell(f"{memory / 1e6:,.1f} MB"),
                Cell(f"{throttled:.2f} s" if throttled else "–"),
            ])  # fmt: skip
    return Table("usage", ["Variant", "Part", "CPU per 1,000 requests", "Memory, most", "Throttled"], rows)


def _by_part(trial: Measures) -> dict[str, tuple[float, float, float]]:
    """Add up what replicas of the same part used: `app-1` and `app-2` are the part `app`."""
    parts: dict[str, tuple[float, float, float]] = {}
    for used in trial.record.usage:
        name = used.name.rstrip("0123456789").rstrip("-")
        cpu, memory, throttled = parts.get(name, (0.0, 0.0, 0.0))
        per_1000 = 1000 * used.cpu_s / max(trial.record.load.requests, 1)
        parts[name] = (cpu + per_1000, memory + used.memory_bytes, throttled + (used.throttled_s or 0.0))
    return parts


def trials(analysis: Analysis) -> Table:
    """Return every trial, valid or not."""
    measured = {(trial.record.id, trial.record.attempt): trial for trial in analysis.measures}
    rows = []
    for summary in analysis.summary.trials:
        metrics = known.metrics if (known := measured.get((summary.id, summary.attempt))) else {}
        rows.append([
            Cell(summary.id, _attempt(summary.attempt)), _stands(summary), Cell(f"{summary.requests:,}"),
            Cell(f"{metrics['hit_ratio']:.1%}" if "hit_ratio" in metrics else "–"),
            Cell(_calls(summary), _expected(summary)),
            Cell(_ms(metrics.get("p50_ms"))), Cell(_ms(metrics.get("p99_ms"))),
            Cell(f"{summary.achieved_rate:.1f}/s"), Cell(_ms(summary.send_lag_p99_ms)),
            Cell(f"{summary.rtt_achieved_ms:.3f} ms" if summary.rtt_achieved_ms is not None else "–"),
        ])  # fmt: skip
    heads = [
        "Trial",
        "Valid",
        "Requests",
        "Hit ratio",
        "Upstream calls",
        "Median",
        "p99",
        "Rate",
        "Send lag, p99",
        "RTT",
    ]
    return Table("trials", heads, rows)


def _stands(summary: TrialSummary) -> Cell:
    some = summary.counts_valid or summary.times_valid
    kind = "better" if summary.valid else "undecided" if some else "worse"
    return Cell(refusals.standing(summary), "; ".join(summary.reasons), kind=kind)


def _attempt(attempt: int) -> str:
    return f"attempt {attempt}" if attempt > 1 else ""


def _calls(summary: TrialSummary) -> str:
    return f"{summary.upstream_calls:,}" if summary.upstream_calls is not None else "–"


def _expected(summary: Any) -> str:
    if summary.expected_calls is None or not summary.expected_calls_error:
        return ""
    return f"expected {summary.expected_calls:,.0f} ± {summary.expected_calls_error:.0f}"


def _ms(value: float | None) -> str:
    return f"{value:.2f} ms" if value is not None else "–"


def environment(analysis: Analysis) -> list[tuple[str, str]]:
    """Return what is known of the machine and the versions, as names and values."""
    known: list[tuple[str, str]] = []
    servers = dict.fromkeys(trial.record.redis_server for trial in analysis.run.trials)
    if any(servers):
        known.append(("Redis server", "; ".join(filter(None, servers))))
    for name, value in analysis.run.record.environment.items():
        if isinstance(value, dict):
            known.append((_capital(name), ", ".join(f"{key} {entry}" for key, entry in value.items())))
        else:
            shown = ("yes" if value else "no") if isinstance(value, bool) else str(value)
            known.append((_capital(name.replace("_gib", ", GiB").replace("_", " ")), shown))
    return known


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
