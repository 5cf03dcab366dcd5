"""The tables and sentences of a report on calls per hour and quotas."""

from __future__ import annotations

from collections.abc import Sequence

from reports.analysis.run import Analysis
from reports.calls import longrun, quota, sentences
from reports.calls.sentences import number
from reports.render.cells import Cell, Table
from reports.summary.model import VariantSummary
from reports.trial.measures import Measures
from scenarios.model import Variant


def hourly(analysis: Analysis) -> Table:
    """Return the upstream calls per hour of each variant: computed, measured, and whether they agree."""
    rows = [_hourly(variant, analysis.counted(variant.id)) for variant in analysis.summary.variants]
    return Table("hourly", ["Variant", "Calls an hour", "Measured", "z", "Agree"], rows)


def _hourly(variant: VariantSummary, trials: Sequence[Measures]) -> list[Cell]:
    found = variant.upstream_calls_per_hour
    if found is None:
        return [Cell(variant.id), Cell("–", "not known"), _unmeasured(variant, trials), Cell("–"), Cell("–")]
    value = Cell(number(found.value), found.basis)
    if found.measured is None:
        return [Cell(variant.id), value, _unmeasured(variant, trials), Cell("–"), Cell("–")]
    low, high = (number(end) for end in found.measured.ci95)
    measured = Cell(number(found.measured.value), f"{low} to {high}")
    score = Cell(f"{found.z:+.2f}".replace("-", "−") if found.z is not None else "–")
    same = sentences.agree(found)
    words = {True: Cell("yes", kind="better"), False: Cell("no", kind="worse"), None: Cell("–")}
    return [Cell(variant.id), value, measured, score, words[same]]


def _unmeasured(variant: VariantSummary, trials: Sequence[Measures]) -> Cell:
    """Show what an average trial counted, which is not multiplied up, and why not."""
    if not trials:
        return Cell("–")
    calls = sum(trial.upstream_calls for trial in trials) / len(trials)
    seconds = sum(trial.record.load.duration_s for trial in trials) / len(trials)
    why = sentences.COLD if variant.start == "cold" else "start unknown"
    return Cell(f"{number(calls)} in {seconds:g} s", why)


def quotas(analysis: Analysis) -> Table:
    """Return what each hourly quota allows; variants whose calls per hour are not known are left out."""
    variants = analysis.scenario.variants
    shown = quota.quotas(variants)
    rows = []
    for variant, summary in zip(variants, analysis.summary.variants, strict=True):
        found = summary.upstream_calls_per_hour
        if found is not None:
            cells = [_allowance(variant, quota.Allowance(each, found.value)) for each in shown]
            rows.append([Cell(variant.id), Cell(number(found.value), found.basis), *cells])
    heads = ["Variant", "Calls an hour", *(f"Quota of {allowed:,} per hour" for allowed in shown)]
    return Table("quotas", heads, rows)


def _allowance(variant: Variant, allowance: quota.Allowance) -> Cell:
    most = quota.most_requests_per_hour(variant, allowance.quota)
    bears = ""
    if most is not None:
        bears = (
            "enough for any traffic"
            if most == float("inf")
            else f"enough for {_figures(most)} requests an hour"
        )
    if allowance.share <= 1:
        return Cell(f"met: {allowance.share:.0%} of it used", bears, kind="better")
    minutes = allowance.lasts_minutes
    lasts = f"after {minutes:.0f} min" if minutes >= 2 else f"after {60 * minutes:.0f} s"
    lasts = lasts if 60 * minutes >= 1 else "within a second"
    said = "; ".join(filter(None, (f"spent {lasts}", bears)))
    return Cell(f"exceeded {_figures(allowance.share)} times over", said, kind="worse")


def _figures(value: float) -> str:
    """Show a number in two significant figures, without an exponent."""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 10 else f"{value:.2g}"


def depends_on(variants: Sequence[Variant]) -> str:
    """Say what computed calls depend on, paths and skew; empty where none is computed."""
    computed = [variant for variant in variants if variant.layout.cached and longrun.of_variant(variant)]
    if not computed:
        return ""
    known = [found for variant in computed if (found := longrun.of_variant(variant)) is not None]
    keys = computed[0].workload.keys
    skew = f"Zipf({keys.exponent:g})" if keys.distribution == "zipf" else "all alike"
    doubled = []
    for variant in computed[:2]:
        more = keys.model_copy(update={"count": min(2 * keys.count, 10_000_000)})
        workload = variant.workload.model_copy(update={"keys": more})
        found = longrun.of_variant(variant.model_copy(update={"workload": workload}))
        if found is not None:
            doubled.append(f"{number(found.calls_per_hour)} calls an hour for {variant.id}")
    would = f" With twice as many paths it would be {' and '.join(doubled)}." if doubled else ""
    evicts = any(variant.means == "simulation" for variant in known)
    again = ", and again after Redis has evicted it" if evicts else ""
    return (
        f"This depends on the number of paths ({keys.count:,}) and their skew ({skew}): each cache that is"
        f" asked for a path fetches it about once per TTL{again}.{would} If yours differ, set "
        "workload.keys.count and workload.keys.exponent, or run your own access log."
    )
