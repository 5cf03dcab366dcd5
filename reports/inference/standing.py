"""Which trials stand behind which figures: counts and times are judged apart.

A trial on a busy machine has right counts and wrong times. Its hit ratio, calls and errors enter the
comparisons; its latencies do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reports.inference import comparisons
from reports.inference.effects import Values
from reports.trial.measures import Measures
from scenarios.metrics import KINDS, METRICS, Kind
from scenarios.model import Scenario


def standing(measures: Iterable[Measures], variant_id: str, kind: Kind) -> list[Measures]:
    """Return a variant's trials of which the counts, or the times, can be believed: one a block.

    Attempts at one trial meet the same requests, so only the last that stands counts.
    """
    found: dict[int, Measures] = {}
    for trial in measures:
        if trial.record.variant == variant_id and trial.stands(kind):
            found[trial.record.block] = trial
    return list(found.values())


def by_block(scenario: Scenario, measures: Iterable[Measures]) -> Values:
    """Return the metrics that can be believed: by variant, block and name.

    Where the times of a trial cannot be believed, its block has its counts alone, and the reverse.
    """
    each = tuple(measures)
    values: dict[str, dict[int, dict[str, float]]] = {}
    calls: dict[str, dict[int, float]] = {}
    for variant in scenario.variants:
        of_blocks = values.setdefault(variant.id, {})
        for kind in KINDS:
            for trial in standing(each, variant.id, kind):
                of_blocks.setdefault(trial.record.block, {}).update(_of_kind(trial, kind))
        _leave_out_what_not_all_have(of_blocks)
        calls[variant.id] = {
            trial.record.block: own
            for trial in standing(each, variant.id, "counts")
            if (own := trial.calls_per_request) is not None
        }
    for variant in scenario.variants:
        base = comparisons.baseline(scenario, variant)
        for block, own in calls[variant.id].items():
            whole = calls[base.id].get(block) if base is not None else 1.0
            if whole:
                values[variant.id][block]["upstream_reduction"] = 1 - own / whole
    return values


def blocks(values: Values, kind: Kind) -> set[int]:
    """Return the blocks in which the counts, or the times, of at least one trial can be believed."""
    names = _names(kind)
    return {
        block for of_blocks in values.values() for block, found in of_blocks.items() if names & found.keys()
    }


def _of_kind(trial: Measures, kind: Kind) -> dict[str, float]:
    names = _names(kind)
    return {name: value for name, value in trial.metrics.items() if name in names}


def _names(kind: Kind) -> set[str]:
    return {metric.name for metric in METRICS if metric.kind == kind}


def _leave_out_what_not_all_have(of_blocks: Mapping[int, dict[str, float]]) -> None:
    """Leave a percentile out that only some trials have requests enough for: those were the busier ones."""
    for kind in KINDS:
        names = _names(kind)
        judged = [found for found in of_blocks.values() if names & found.keys()]
        for name in names:
            if any(name not in found for found in judged):
                for found in judged:
                    found.pop(name, None)
