"""A summary as Markdown: for a pull request's comment or a job's own page."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from reports.analysis.verdict import findable, how_far, open_threshold
from reports.calls import sentences
from reports.summary.model import Comparison, MetricValue, Summary, ThresholdResult
from reports.summary.refusals import sentence, tally
from scenarios.metrics import METRICS, Metric

_MARKS = {"pass": "✅ met", "fail": "❌ violated", "undecided": "❔ undecided"}


def render(summary: Summary) -> str:
    """Return the summary as GitHub-flavoured Markdown."""
    parts = [
        f"## {_escaped(summary.scenario)}",
        f"**{_escaped(summary.verdict)}**",
        _results(summary) if len(summary.variants) == 2 else _variants(summary),
    ]
    if len(summary.variants) != 2 and summary.comparisons:
        parts.append(_comparisons(summary))
    parts.extend(_escaped(sentences.of_variant(variant)) for variant in summary.variants)
    if summary.thresholds:
        rows = [
            [f"`{result.text}`", _escaped(result.variant), _kept(result)] for result in summary.thresholds
        ]
        parts.append(_table(["threshold", "variant", ""], rows))
    parts.extend(_footnotes(summary))
    return "\n\n".join(parts) + "\n"


def _results(summary: Summary) -> str:
    first, second = summary.variants
    compared = {comparison.metric: comparison for comparison in summary.comparisons}
    rows = []
    for metric in METRICS:
        row = [metric.label, *(_value(metric, getattr(of.metrics, metric.name)) for of in (first, second))]
        if compared:
            row.append(_difference(metric, compared.get(metric.name)))
        rows.append(row)
    heads = ["", _escaped(first.id), _escaped(second.id)]
    if compared:
        one = summary.comparisons[0]
        heads.append(f"{_escaped(one.b)} − {_escaped(one.a)} [95%]")
    return _table(heads, rows)


def _variants(summary: Summary) -> str:
    shown = [metric for metric in METRICS if metric.name not in ("p90_ms", "mean_ms")]
    rows = [
        [_escaped(of.id), *(_value(metric, getattr(of.metrics, metric.name)) for metric in shown)]
        for of in summary.variants
    ]
    return _table(["variant", *(metric.label for metric in shown)], rows)


def _comparisons(summary: Summary) -> str:
    shown = [metric for metric in METRICS if metric.name in ("p50_ms", "p99_ms", "hit_p50_ms", "hit_ratio")]
    pairs = list(dict.fromkeys((one.a, one.b) for one in summary.comparisons))
    found = {(one.a, one.b, one.metric): one for one in summary.comparisons}
    rows = [
        [
            f"{_escaped(b)} compared with {_escaped(a)}",
            *(_difference(metric, found.get((a, b, metric.name))) for metric in shown),
        ]
        for a, b in pairs
    ]
    return _table(["comparison", *(metric.label for metric in shown)], rows)


def _kept(result: ThresholdResult) -> str:
    far = f" ({far} to decide)" if (far := open_threshold(result)) else ""
    return f"{_MARKS[result.outcome]}{far}"


def _value(metric: Metric, value: MetricValue | None) -> str:
    return metric.text(value.value) if value is not None else "–"


def _difference(metric: Metric, comparison: Comparison | None) -> str:
    if comparison is None or comparison.difference is None:
        return "–"
    ends = ""
    if comparison.ci95 is not None:
        low, high = (metric.text(end, sign=True, unit=False) for end in comparison.ci95)
        ends = f" [{low}, {high}]"
    far = f" ({how_far([comparison])} to decide)" if comparison.decision == "undecided" else ""
    return f"{metric.text(comparison.difference, sign=True)}{ends} **{comparison.decision}**{far}"


def _footnotes(summary: Summary) -> Iterator[str]:
    yield f"{tally(summary.trials)}, in {summary.blocks} blocks. {_capital(summary.stopping.reason)}."
    if found := findable(summary.comparisons):
        yield found
    for refused in summary.refused:
        yield f"- {_escaped(sentence(refused))}"
    for note in summary.notes:
        yield f"- {_escaped(note)}"
    yield f"`{shlex.join(summary.command)}`"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Keep text from being read as Markdown or HTML."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
