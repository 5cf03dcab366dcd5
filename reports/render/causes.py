"""The tables of what was expected and of causes: theory beside what was counted, and where hits go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.analysis.run import Analysis
from reports.render.cells import Cell, Table
from reports.statistics.estimates import Estimate
from reports.summary.model import TrialSummary, VariantSummary
from scenarios.metrics import BY_NAME

_HITS: Final = BY_NAME["hit_ratio"]
_WORDS: Final = {
    "cold": "Cold start",
    "expired": "Expiry",
    "concurrent": "A call in progress",
    "evicted": "Evicted (at most)",
    "unstored": "Never stored",
    "lost": "Lost: evicted or never stored",
    "other": "Failed, or bypassed Redis",
}
_ALWAYS: Final = ("expired", "concurrent")
_ABSENT: Final = "Not cached at the start"


def hits(analysis: Analysis) -> Table:
    """Return the difference in hit ratio by cause, as the trials had it: a column for each comparison."""
    found = analysis.hit_attributions
    heads = ["Cause", *(f"{one.pair.b.id} − {one.pair.a.id}" for one in found)]
    cold = analysis.scenario.schedule.start == "cold"
    always = ("cold", *_ALWAYS) if cold else _ALWAYS
    rows = [
        [Cell(label if cold or cause != "cold" else _ABSENT), *(_points(one.parts[cause]) for one in found)]
        for cause, label in _WORDS.items()
        if cause in always or any(one.parts[cause].value or one.parts[cause].spread for one in found)
    ]
    rows.append([Cell("Hit ratio in total"), *(_points(one.total) for one in found)])
    rows.append([Cell("Avoidable by one shared cache"), *(_points(one.sharing) for one in found)])
    return Table("hit-causes", heads, rows if found else [])


def long_run(analysis: Analysis) -> Table:
    """Return the same difference in the long run, computed; empty where the trials themselves show it."""
    known = [
        (one, one.hit_ratio_long_run)
        for one in analysis.summary.attributions
        if one.hit_ratio_long_run is not None and analysis.scenario.schedule.start == "cold"
    ]
    rows = [
        [Cell(_WORDS[cause]), *(_computed(found.parts[cause].value) for _, found in known)]
        for cause in ("expired", "concurrent", "evicted")
        if cause != "evicted" or any(found.parts[cause].value for _, found in known)
    ]
    rows.append([Cell("Hit ratio in total"), *(_computed(found.total.value) for _, found in known)])
    return Table(
        "hit-long-run", ["Cause", *(f"{one.b} − {one.a}" for one, _ in known)], rows if known else []
    )


def _computed(value: float) -> Cell:
    return Cell(_HITS.text(value, sign=True))


def _points(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell("–")
    ends = estimate.interval()
    under = " to ".join(_HITS.text(end, sign=True, unit=False) for end in ends) if ends else ""
    return Cell(_HITS.text(estimate.value, sign=True), under)


def theory(analysis: Analysis) -> Table:
    """Return measured against expected, by variant: hit ratio, and the calls of whole trials."""
    rows = []
    for variant in analysis.summary.variants:
        measured = variant.metrics.hit_ratio
        if measured is None or variant.ttl_s is None:
            continue
        trials = [one for one in analysis.summary.trials if one.counts_valid and one.variant == variant.id]
        row = [Cell(variant.id), Cell(f"{measured.value:.1%}")]
        rows.append(row + _expected(variant, measured.value, trials))
    heads = [
        "Variant",
        "Hit ratio",
        "by theory",
        "off by",
        "Upstream calls per trial",
        "by theory",
        "z",
        "Fill time",
    ]
    return Table("theory", heads, rows)


def _expected(variant: VariantSummary, hit_ratio: float, trials: Sequence[TrialSummary]) -> list[Cell]:
    calls = Cell(f"{sum(one.upstream_calls or 0 for one in trials) / len(trials):,.0f}")
    expected = variant.theory
    known = [one.expected_calls for one in trials if one.expected_calls is not None]
    if expected is None or not known:
        why = variant.theory_silence or ""
        return [Cell("–", f"no prediction: {why}"), Cell("–"), calls, Cell("–"), Cell("–"), Cell("–")]
    errors = [one.expected_calls_error for one in trials if one.expected_calls_error is not None]
    return [
        Cell(f"{expected.hit_ratio:.1%}"),
        Cell(_HITS.text(hit_ratio - expected.hit_ratio, sign=True)),
        calls,
        Cell(f"{sum(known) / len(known):,.0f}", f"± {sum(errors) / len(errors):.0f}" if errors else ""),
        _scores([one.z for one in trials if one.z is not None]),
        Cell(f"{expected.fill_time_ms:.1f} ms"),
    ]


def _scores(scores: Sequence[float]) -> Cell:
    if not scores:
        return Cell("–")
    mean, furthest = sum(scores) / len(scores), max(scores, key=abs)
    return Cell(f"{mean:+.2f}".replace("-", "−"), f"furthest {furthest:+.2f}".replace("-", "−"))
