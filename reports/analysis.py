"""A stored run, worked out: the summary, and beside it what the page's figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports import comparisons, statistics, stored, theory, verdict
from reports.measures import Measures, measure
from reports.metrics import METRICS, Metric
from reports.statistics import Estimate
from reports.stored import StoredRun
from reports.summary import (
    Comparison,
    Metrics,
    MetricValue,
    Summary,
    Theory,
    TrialSummary,
    VariantSummary,
)
from reports.theory import Expected
from reports.verdict import Compared
from scenarios.model import Scenario, Variant

Values = dict[str, dict[int, dict[str, float]]]


@dataclass(frozen=True)
class Analysis:
    """All that a page is made of."""

    run: StoredRun
    summary: Summary
    measures: tuple[Measures, ...]
    compared: tuple[Compared, ...]

    @property
    def scenario(self) -> Scenario:
        """The scenario that was run."""
        return self.run.record.scenario

    def valid(self, variant_id: str) -> list[Measures]:
        """Return a variant's trials that count."""
        return [trial for trial in self.measures if trial.valid and trial.record.variant == variant_id]


def analyse(folder: Path) -> Analysis:
    """Read a stored run and work it out.

    Raises:
        ResultsError: the run cannot be read, or holds no trial yet.
    """
    run = stored.read(folder)
    scenario = run.record.scenario
    notes = list(run.notes)
    measures = []
    for trial in run.trials:
        measured = measure(trial, scenario.variant(trial.record.variant))
        if measured is None:
            notes.append(f"{trial.record.id} holds no request after its warm-up; it is left out.")
        else:
            measures.append(measured)
    values = by_block(scenario, measures)
    compared = tuple(compare(pair, values) for pair in comparisons.pairs(scenario))
    blocks = {block for of_variant in values.values() for block in of_variant}
    summary = Summary(
        run_id=run.record.run_id,
        scenario=scenario.name,
        verdict=verdict.sentence(compared, len(blocks), len(measures)),
        stack=run.record.stack.name,
        started=run.record.started,
        command=run.record.command,
        reduction_baseline="none" if _has_baseline(scenario) else "requests",
        blocks=len(blocks),
        variants=[_variant(variant, values, measures) for variant in scenario.variants],
        comparisons=[comparison for found in compared for comparison in found.comparisons],
        trials=[_trial(trial, scenario.variant(trial.record.variant)) for trial in measures],
        notes=[*notes, *_stack_notes(measures), *_median_notes(scenario, values)],
    )
    return Analysis(run, summary, tuple(measures), compared)


def by_block(scenario: Scenario, measures: Iterable[Measures]) -> Values:
    """Return the metrics of the valid trials: by variant, block and name. A later attempt supersedes."""
    calls: dict[str, dict[int, float]] = {}
    values: Values = {variant.id: {} for variant in scenario.variants}
    for trial in measures:
        if trial.valid:
            block, name = trial.record.block, trial.record.variant
            values[name][block] = dict(trial.metrics)
            calls.setdefault(name, {})[block] = trial.calls_per_request
    for variant in scenario.variants:
        base = comparisons.baseline(scenario, variant)
        for block, metrics in values[variant.id].items():
            whole = calls.get(base.id, {}).get(block) if base is not None else 1.0
            if whole:
                metrics["upstream_reduction"] = 1 - calls[variant.id][block] / whole
    return values


def compare(pair: comparisons.Pair, values: Values) -> Compared:
    """Hold b against a, metric by metric, in the blocks that have a valid trial of both."""
    found = [
        _compare(pair, metric, values)
        for metric in METRICS
        if not (metric.name == "upstream_reduction" and _is_base(pair))
    ]
    return Compared(pair, tuple(found))


def _is_base(pair: comparisons.Pair) -> bool:
    return pair.a.topology == "none" and pair.b.topology != "none"


def _compare(pair: comparisons.Pair, metric: Metric, values: Values) -> Comparison:
    of_a, of_b = values[pair.a.id], values[pair.b.id]
    both = [
        (of_a[block][metric.name], of_b[block][metric.name])
        for block in sorted(of_a.keys() & of_b.keys())
        if metric.name in of_a[block] and metric.name in of_b[block]
    ]
    difference = statistics.mean([b - a for a, b in both])
    if difference is None:
        return Comparison(
            metric=metric.name, a=pair.a.id, b=pair.b.id, difference=None, ci95=None, better=None,
            decision="undecided", margin=metric.margin(0), blocks=0,
        )  # fmt: skip
    margin = metric.margin(sum(a for a, _ in both) / len(both))
    decision = verdict.decide(metric, difference, margin)
    return Comparison(
        metric=metric.name,
        a=pair.a.id,
        b=pair.b.id,
        difference=difference.value,
        ci95=difference.ci95,
        better={"better": pair.b.id, "worse": pair.a.id}.get(decision),
        decision=decision,
        margin=margin,
        blocks=difference.blocks,
    )


def _variant(variant: Variant, values: Values, measures: Sequence[Measures]) -> VariantSummary:
    trials = [trial for trial in measures if trial.valid and trial.record.variant == variant.id]
    links = [trial.record.link.achieved_ms for trial in trials if trial.record.link is not None]
    cached = variant.topology != "none"
    estimates = {
        metric.name: _value(
            statistics.mean(
                [
                    of_block[metric.name]
                    for of_block in values[variant.id].values()
                    if metric.name in of_block
                ],
                least=None if metric.name == "upstream_reduction" else 0.0,
                most=metric.most,
            )
        )
        for metric in METRICS
    }
    return VariantSummary(
        id=variant.id,
        topology=variant.topology,
        ttl_s=variant.cache.ttl if cached else None,
        replicas=variant.replicas,
        rtt_ms=variant.link.rtt_ms if variant.topology == "separate" else None,
        rtt_achieved_ms=sum(links) / len(links) if links else None,
        levels=variant.levels,
        valid_trials=len(trials),
        metrics=Metrics(**estimates),
        theory=_theory(variant, trials),
    )


def _value(estimate: Estimate | None) -> MetricValue | None:
    return MetricValue(value=estimate.value, ci95=estimate.ci95) if estimate is not None else None


def _theory(variant: Variant, trials: Sequence[Measures]) -> Theory | None:
    if not trials:
        return None
    load = trials[0].record.load
    fill_s = sum(trial.fill_s for trial in trials) / len(trials)
    window = (load.warmup_s, load.warmup_s + load.duration_s)
    expected = theory.of_variant(variant, window, fill_s, any(trial.joined for trial in trials))
    if expected is None:
        return None
    return Theory(
        hit_ratio=expected.hit_ratio,
        upstream_calls=expected.calls,
        delayed_ratio=expected.delayed_ratio,
        fill_time_ms=fill_s * 1000,
    )


def whole_trial(trial: Measures, variant: Variant) -> Expected | None:
    """Return what theory expects of a trial from its cold start to its end."""
    load = trial.record.load
    return theory.of_variant(variant, (0.0, load.warmup_s + load.duration_s), trial.fill_s, trial.joined)


def _trial(trial: Measures, variant: Variant) -> TrialSummary:
    record = trial.record
    outcomes, expected = record.load.outcomes, whole_trial(trial, variant)
    return TrialSummary(
        id=record.id,
        variant=record.variant,
        block=record.block,
        valid=trial.valid,
        reasons=trial.reasons,
        requests=record.load.requests,
        hits=outcomes.get("hit", 0),
        misses=outcomes.get("miss", 0),
        errors=outcomes.get("error", 0),
        upstream_calls=record.upstream.calls,
        app_hits=record.app.outcomes.get("hit", 0),
        app_misses=record.app.outcomes.get("miss", 0),
        achieved_rate=trial.achieved_rate,
        send_lag_p99_ms=trial.send_lag_p99_ms,
        rtt_achieved_ms=record.link.achieved_ms if record.link is not None else None,
        expected_calls=expected.calls if expected else None,
        expected_calls_error=expected.calls_error if expected else None,
    )


def _has_baseline(scenario: Scenario) -> bool:
    return any(variant.topology == "none" for variant in scenario.variants)


def _stack_notes(measures: Iterable[Measures]) -> list[str]:
    return list(dict.fromkeys(note for trial in measures for note in trial.record.notes))


def _median_notes(scenario: Scenario, values: Values) -> list[str]:
    """Warn of medians that stand on the edge between hits and misses, where they mean little."""
    edge = [
        variant.id
        for variant in scenario.variants
        if any(0.4 < metrics["hit_ratio"] < 0.6 for metrics in values[variant.id].values())
    ]
    if not edge:
        return []
    return [
        f"About half of the requests were hits in {', '.join(edge)}: the median latency then falls now among "
        "the hits, now among the misses. Compare hits with hits."
    ]
