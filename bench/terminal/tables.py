"""What a run has found, as tables for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.summary.model import Comparison, Summary, VariantSummary
from scenarios.metrics import BY_NAME, Metric

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
_STYLES: Final = {"better": "green", "worse": "red", "equivalent": "blue", "undecided": "yellow"}
_ELLIPSIS: Final = "…"
_NAMES: Final = (1000, 24, 16, 12, 8)  # columns for a name: what is tried until a table fits


def of(summary: Summary, console: Console) -> Iterator[Table]:
    """Yield the tables of a summary; names are broken between their words where a table would be too wide."""
    few = len(summary.variants) <= _MOST_COLUMNS
    yield _fitting(_by_metric if few else _by_variant, summary, console)
    if not few and summary.comparisons:
        yield _fitting(_compared, summary, console)


def broken(name: str, columns: int) -> str:
    """Return a variant's name on lines of so many columns, broken after hyphens and underscores alone."""
    lines = [""]
    for word in re.findall(r"[^-_]+[-_]?|[-_]", name):
        if lines[-1] and len(lines[-1] + word) > columns:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _fitting(laid_out: Callable[[Summary, int], Table], summary: Summary, console: Console) -> Table:
    """Return a table whose names are broken no more than it takes for no word to be cut."""
    tables = [laid_out(summary, columns) for columns in _NAMES]
    return next((table for table in tables if not _cut(table, console)), tables[-1])


def _cut(table: Table, console: Console) -> bool:
    return any(_ELLIPSIS in segment.text for line in console.render_lines(table) for segment in line)


def _of(variant: VariantSummary, metric: Metric) -> str:
    estimate = getattr(variant.metrics, metric.name)
    return metric.text(estimate.value if estimate else None)


def _shown(summary: Summary) -> tuple[Metric, ...]:
    """Return the metrics of the table: failed requests among them where there are any."""
    shares = (variant.metrics.error_ratio for variant in summary.variants)
    failed = any(share is not None and share.value > 0 for share in shares)
    return (*_SHOWN, _ERRORS) if failed else _SHOWN


def _by_metric(summary: Summary, columns: int) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for variant in summary.variants:
        table.add_column(broken(variant.id, columns), justify="right")
    compared: dict[str, Comparison] = {}
    pairs = {(comparison.a, comparison.b) for comparison in summary.comparisons}
    if len(pairs) == 1:
        compared = {comparison.metric: comparison for comparison in summary.comparisons}
        ((a, b),) = pairs
        # An interval stays on one line, and labels wrap.
        whole = f"{b} − {a} [95%]"
        heading = whole if len(whole) <= columns else f"{broken(b, columns)} −\n{broken(a, columns)}\n[95%]"
        table.add_column(heading, justify="right", no_wrap=True)
        table.add_column(f"{broken(b, columns)} is")
    for metric in _shown(summary):
        cells: list[str | Text] = [_of(variant, metric) for variant in summary.variants]
        if compared:
            cells += _difference(metric, compared.get(metric.name))
        table.add_row(metric.label, *cells)
    return table


def _difference(metric: Metric, comparison: Comparison | None) -> list[str | Text]:
    if comparison is None or comparison.difference is None:
        return ["–", ""]
    shown = metric.text(comparison.difference, sign=True)
    if comparison.ci95 is not None:
        low, high = (metric.text(end, sign=True, unit=False) for end in comparison.ci95)
        shown += f" [{low}, {high}]"
    return [shown, Text(comparison.decision, _STYLES[comparison.decision])]


def _by_variant(summary: Summary, columns: int) -> Table:
    shown = _shown(summary)
    if _ERRORS in shown:  # beside them there is no room for both of the metrics that say the same
        shown = tuple(metric for metric in shown if metric is not _CALLS)
    rows = [
        ([broken(variant.id, columns)], [Text(_of(variant, metric)) for metric in shown])
        for variant in summary.variants
    ]
    return _grid([""], shown, rows)


def _compared(summary: Summary, columns: int) -> Table:
    shown = [metric for metric in _shown(summary) if metric is not _SAVED]  # says what the calls say
    rows = []
    for a, b in dict.fromkeys((comparison.a, comparison.b) for comparison in summary.comparisons):
        of_pair = {one.metric: one.decision for one in summary.comparisons if (one.a, one.b) == (a, b)}
        decisions = [of_pair.get(metric.name) for metric in shown]
        cells = [Text(said, _STYLES[said]) if said else Text("–") for said in decisions]
        rows.append(([broken(b, columns), broken(a, columns)], cells))
    return _grid(["", "against"], shown, rows)


def _grid(
    headings: Sequence[str], metrics: Sequence[Metric], rows: Sequence[tuple[Sequence[str], Sequence[Text]]]
) -> Table:
    """Lay out a column for each heading, and one for each metric.

    Metrics' columns are as wide as their longest word.
    """
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    for at, metric in enumerate(metrics):
        words = [*map(len, metric.label.split()), *(cells[at].cell_len for _, cells in rows)]
        table.add_column(metric.label, justify="right", width=max(words))
    for names, cells in rows:
        table.add_row(*names, *cells)
    return table
