"""The tables by which a reader can check the verdict: causes, spread, gates, theory, thresholds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

from reports.analysis.attribution import Attribution
from reports.analysis.run import Analysis
from reports.analysis.verdict import open_threshold
from reports.inference.pilot import Spread
from reports.render.cells import Cell, Table
from reports.statistics.estimates import Estimate
from reports.summary.model import GateResult, ThresholdResult
from reports.summary.refusals import name, standing
from reports.trial.gate import Gate
from reports.trial.measures import Measures
from scenarios.metrics import BY_NAME, Metric

_PROTECTED: Final = {"counts": "counts", "times": "latencies"}


def attribution(analysis: Analysis) -> Table:
    """Return the difference in mean latency by cause: a column for each comparison."""
    found, terms = analysis.attributions, analysis.terms
    heads = ["Cause", *(f"{one.pair.b.id} − {one.pair.a.id}" for one in found)]
    rows = [
        [Cell(label[:1].upper() + label[1:]), *(_part(one, term) for one in found)]
        for term, label in terms.items()
    ]
    rows.append([Cell("Mean latency in total"), *(_milliseconds(one.total) for one in found)])
    return Table("attribution", heads, rows)


def _part(found: Attribution, term: str) -> Cell:
    return _milliseconds(found.parts[term]) if term in found.parts else Cell("–", "part of the rest")


def _milliseconds(estimate: Estimate) -> Cell:
    metric, ends = BY_NAME["mean_ms"], estimate.interval()
    under = " to ".join(metric.text(end, sign=True, unit=False) for end in ends) if ends else ""
    return Cell(metric.text(estimate.value, sign=True), under)


def fills(analysis: Analysis) -> Table:
    """Return why upstream was called, in the average trial, and what a shared cache would have called."""
    rows = []
    for variant in analysis.summary.variants:
        found = variant.fills
        if found is None:
            continue
        calls = found.cold + found.concurrent + found.expired + found.lost
        counts = (found.cold, found.expired, found.concurrent, found.lost, calls)
        shared = (None, None) if found.shared is None else (found.shared, calls - found.shared)
        rows.append([Cell(variant.id), *map(_count, (*counts, *shared))])
    heads = [
        "Variant",
        "Cold",
        "Expired",
        "Under way",
        "Lost",
        "All misses",
        "One shared cache",
        "Avoided by sharing",
    ]
    return Table("fills", heads, rows)


def _count(count: float | None) -> Cell:
    return Cell("–" if count is None else f"{count:,.0f}".replace("-", "−"))


def spread(analysis: Analysis) -> Table:
    """Return how figures scatter, what could have been found, and how many blocks a precision takes."""
    rows = []
    for found in analysis.spreads:
        metric = BY_NAME[found.metric]
        blocks = f"{found.blocks_wanted}" if found.blocks_wanted is not None else "over 2,000"
        rows.append([
            Cell(metric.label[:1].upper() + metric.label[1:]),
            Cell(_plain(metric, found.between)),
            Cell(_plain(metric, found.within)),
            Cell(_plain(metric, found.sampling)),
            Cell(_plain(metric, _detectable(analysis, found.metric))),
            Cell(blocks, f"for ± {_plain(metric, found.wanted)}"),
            _length(found),
        ])  # fmt: skip
    heads = [
        "Metric",
        "Between blocks",
        "Within blocks",
        "of which sampling",
        "Smallest detectable effect",
        "Blocks wanted",
        "Or trials of",
    ]
    return Table("spread", heads, rows)


def _length(found: Spread) -> Cell:
    """Say how long trials would have to be, were there no more blocks than planned."""
    if found.duration_wanted_s is None:
        return Cell("–", "not known")
    if math.isinf(found.duration_wanted_s):
        return Cell("–", "no length is enough")
    return Cell(f"{max(found.duration_wanted_s, 0.1):,.1f} s", "with the planned blocks")


def advice(spreads: Sequence[Spread]) -> str:
    """Say whether longer trials or more blocks narrow the intervals."""
    longer = [BY_NAME[found.metric].label for found in spreads if found.longer_trials_help]
    if longer:
        return (
            f"Most of the spread of {' and '.join(longer)} comes from the small number of requests per "
            "trial: "
            "longer trials (schedule.duration) narrow the intervals."
        )
    return (
        "Most of the spread is between trials, not within: more blocks narrow the intervals, longer trials "
        "do not."
    )


def _detectable(analysis: Analysis, metric: str) -> float | None:
    found = [comparison.detectable for one in analysis.compared if (comparison := one.of(metric)) is not None]
    known = [value for value in found if value is not None]
    return max(known) if known else None


def _plain(metric: Metric, value: float | None) -> str:
    """Show a difference or a spread, which has no sign."""
    return metric.text(value, sign=True).lstrip("+−")


def gates(analysis: Analysis) -> Table:
    """Return each gate over the whole run: why it is there, its bound, which trials did not pass it, and how
    near to it those came that it protects and that were used.
    """
    judged: dict[str, list[tuple[Measures, Gate]]] = {}
    for trial in analysis.measures:
        for gate in trial.gates:
            judged.setdefault(gate.name, []).append((trial, gate))
    rows = []
    for gate_name, each in judged.items():
        failed = [(trial.record.id, gate) for trial, gate in each if not gate.passed]
        bounds = list(dict.fromkeys(gate.bound for _, gate in each if gate.applicable))
        said = "; ".join(f"{trial}: {gate.figure}" for trial, gate in failed)
        rows.append([
            Cell(gate_name[:1].upper() + gate_name[1:], each[0][1].why),
            Cell(bounds[0] if len(bounds) == 1 else "by trial" if bounds else "–", _protected(each)),
            _tally([gate for _, gate in each], said),
            _worst([(trial.record.id, gate) for trial, gate in each if _used(trial, gate)], len(bounds) > 1),
        ])  # fmt: skip
    return Table("gates", ["Gate", "Bound", "Passed", "Closest to the bound"], rows)


def _protected(judged: Sequence[tuple[Measures, Gate]]) -> str:
    kinds = dict.fromkeys(kind for _, gate in judged for kind in gate.protects)
    return f"protects {' and '.join(_PROTECTED[kind] for kind in kinds)}"


def _used(trial: Measures, gate: Gate) -> bool:
    """Whether what a gate protects was used of a trial."""
    return any(trial.stands(kind) for kind in gate.protects)


def _worst(judged: Sequence[tuple[str, Gate]], by_trial: bool) -> Cell:
    """Show the figure that came nearest to its bound, its trial, and that bound where each has its own."""
    applicable = [(trial, gate) for trial, gate in judged if gate.applicable]
    if not applicable:
        return Cell("–")
    trial, gate = max(applicable, key=lambda one: one[1].strain or 0.0)
    if gate.strain is None:
        return Cell("equal in all trials")
    return Cell(gate.figure, f"{trial}, where {gate.bound}" if by_trial else trial)


def _tally(judged: Sequence[Gate], said: str) -> Cell:
    """Count those that passed, of those to which the gate applies."""
    applicable = [gate for gate in judged if gate.applicable]
    idle = [gate.figure for gate in judged if not gate.applicable]
    if not applicable:
        return Cell("–", idle[0])
    passed = sum(gate.passed for gate in applicable)
    kind = "better" if passed == len(applicable) else "worse"
    others = [f"{len(idle)} {idle[0]}"] if idle else []
    return Cell(f"{passed} of {len(applicable)}", "; ".join([*filter(None, [said]), *others]), kind=kind)


def certificates(analysis: Analysis) -> list[tuple[str, str, Table]]:
    """Return each trial's own certificate: its id, a word, and every gate with figure and bound."""
    found = []
    for summary in analysis.summary.trials:
        rows = [
            [Cell(gate.name[:1].upper() + gate.name[1:]), Cell(gate.figure), Cell(gate.bound), _passed(gate)]
            for gate in summary.gates
        ]
        found.append(
            (name(summary), standing(summary), Table("certificate", ["Gate", "Figure", "Bound", ""], rows))
        )
    return found


def _passed(gate: GateResult) -> Cell:
    kinds = {"passed": "better", "failed": "worse"}
    return Cell(gate.outcome, gate.reason or "", kind=kinds.get(gate.outcome, ""))


def witness(analysis: Analysis) -> str:
    """Say how the counted upstream calls of all trials that count stand to theory."""
    scores = [trial.z for trial in analysis.summary.trials if trial.counts_valid and trial.z is not None]
    if len(scores) < 2:
        return ""
    outside = sum(abs(score) > 2 for score in scores)
    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    by_chance = 0.0455 * len(scores)
    return (
        f"Over {len(scores)} trials the counted calls lie {mean:+.2f} standard errors from the "
        f"expected ones on average, with a standard deviation of {deviation:.2f}; {outside} lie beyond ±2, "
        f"where chance alone puts {by_chance:.1f}."
    ).replace("-", "−")


def thresholds(results: Sequence[ThresholdResult]) -> Table:
    """Return each threshold with its interval and whether it is kept."""
    kinds = {"pass": "better", "fail": "worse", "undecided": "undecided"}
    rows = []
    for result in results:
        ends = " to ".join(f"{end:.4g}" for end in result.interval) if result.interval else ""
        value = f"{result.value:.4g}" if result.value is not None else "–"
        rows.append([
            Cell(result.text), Cell(result.variant), Cell(value.replace("-", "−"), ends.replace("-", "−")),
            Cell(result.outcome, open_threshold(result), kind=kinds[result.outcome]),
        ])  # fmt: skip
    return Table("thresholds", ["Threshold", "Variant", "Measured", "Kept"], rows)
