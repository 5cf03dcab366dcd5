"""The parts of a summary that speak of one variant and of one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from reports import theory
from reports.analysis.attribution import KEYS, Attribution, HitAttribution, attribute_long_run
from reports.calls import hourly, longrun
from reports.inference.effects import Compared, Values
from reports.inference.standing import standing
from reports.statistics import estimates
from reports.statistics.estimates import Estimate
from reports.stored.records import TrialRecord
from reports.stored.runs import StoredTrial
from reports.summary import model as published
from reports.summary.model import (
    Attributed,
    FillCauses,
    GateOutcome,
    GateResult,
    Metrics,
    MetricValue,
    Theory,
    TrialSummary,
    VariantSummary,
)
from reports.theory import Expected
from reports.trial.gate import Gate
from reports.trial.measures import Measures
from reports.trial.validity import gates, reasons, stands
from scenarios.metrics import KINDS, METRICS, Metric
from scenarios.model import Variant
from simulation.longrun import evicts

Start = Literal["steady", "cold", "unknown"]
_NOT_DEPLOYED: Final = "caches were as earlier requests had left them"


def of_variant(variant: Variant, values: Values, measures: Sequence[Measures]) -> VariantSummary:
    """Sum up a variant over the trials that can be believed."""
    trials, timed = (standing(measures, variant.id, kind) for kind in KINDS)
    links = [trial.record.link.during_ms for trial in timed if trial.record.link is not None]
    deployed = all(trial.record.deployed for trial in measures)
    cached = variant.layout.cached and deployed
    return VariantSummary(
        id=variant.id,
        topology=variant.topology,
        ttl_s=variant.cache.ttl if cached else None,
        replicas=variant.replicas,
        rtt_ms=variant.link.rtt_ms if variant.layout.linked and deployed else None,
        rtt_achieved_ms=sum(links) / len(links) if links else None,
        levels=variant.levels,
        valid_trials=sum(trial.valid for trial in timed),
        counts_trials=len(trials),
        times_trials=len(timed),
        metrics=Metrics(**{metric.name: _value(metric, values, variant.id) for metric in METRICS}),
        theory=_theory(variant, trials),
        theory_silence=_no_prediction(variant, trials) if deployed else _NOT_DEPLOYED,
        fills=_fills(trials) if cached else None,
        start=start_of(trials),
        upstream_calls_per_hour=hourly.of_variant(variant, trials, longrun.of_variant(variant))
        if deployed
        else None,
    )


def start_of(trials: Sequence[Measures]) -> Start:
    """Return how trials began; `unknown` where nothing was deployed, or they differ."""
    starts = {trial.record.start if trial.record.deployed else "unknown" for trial in trials}
    return starts.pop() if len(starts) == 1 else "unknown"


def _no_prediction(variant: Variant, trials: Sequence[Measures]) -> str | None:
    if any(_evicted(trial, variant) for trial in trials):
        return "Redis evicted copies before their time"
    return theory.no_prediction(variant)


def _evicted(trial: Measures, variant: Variant) -> bool:
    """Tell whether Redis evicted copies in a trial, or has less room than a steady start takes."""
    known = trial.record.evicted_keys
    if known or (known == 0 and trial.record.start == "cold"):
        return bool(known)
    return evicts(variant)


def _value(metric: Metric, values: Values, variant: str) -> MetricValue | None:
    found = estimates.mean([of[metric.name] for of in values[variant].values() if metric.name in of])
    if found is None:
        return None
    least = None if metric.name == "upstream_reduction" else 0.0
    return MetricValue(value=found.value, ci95=found.interval(least=least, most=metric.most))


def _theory(variant: Variant, trials: Sequence[Measures]) -> Theory | None:
    started = start_of(trials)
    if started == "unknown":
        return None
    load = trials[0].record.load
    fill_s = sum(trial.fill_s for trial in trials) / len(trials)
    window = (load.warmup_s, load.warmup_s + load.duration_s)
    expected = theory.of_variant(variant, window, fill_s, any(trial.joined for trial in trials), started)
    if expected is None or any(_evicted(trial, variant) for trial in trials):
        return None
    return Theory(
        hit_ratio=expected.hit_ratio,
        upstream_calls=expected.calls,
        delayed_ratio=expected.delayed_ratio,
        fill_time_ms=fill_s * 1000,
    )


def _fills(trials: Sequence[Measures]) -> FillCauses | None:
    if not trials:
        return None
    names = ("cold", "concurrent", "expired", "lost")
    shared = [trial.fills.shared for trial in trials if trial.fills.shared is not None]
    return FillCauses(
        **{name: sum(getattr(trial.fills, name) for trial in trials) / len(trials) for name in names},
        shared=sum(shared) / len(shared) if len(shared) == len(trials) else None,
    )


def attribution(
    compared: Compared, latency: Attribution | None, hits: HitAttribution | None, deployed: bool
) -> published.Attribution:
    """Sum up where the differences of a pair come from."""
    return published.Attribution(
        a=compared.pair.a.id,
        b=compared.pair.b.id,
        mean_ms=_attributed(latency.total, latency.parts, KEYS) if latency else None,
        hit_ratio=_attributed(hits.total, hits.parts, {}) if hits else None,
        hit_ratio_long_run=_long_run(compared) if deployed else None,
        hit_ratio_sharing=_estimated(hits.sharing) if hits and hits.sharing else None,
    )


def _long_run(compared: Compared) -> Attributed | None:
    parts = attribute_long_run(compared.pair)
    if parts is None:
        return None
    computed = {cause: MetricValue(value=value, ci95=None) for cause, value in parts.items()}
    return Attributed(total=MetricValue(value=sum(parts.values()), ci95=None), parts=computed)


def _attributed(total: Estimate, parts: Mapping[str, Estimate], keys: Mapping[str, str]) -> Attributed:
    each = {keys.get(cause, cause): _estimated(part) for cause, part in parts.items()}
    return Attributed(total=_estimated(total), parts=each)


def _estimated(estimate: Estimate) -> MetricValue:
    return MetricValue(value=estimate.value, ci95=estimate.interval())


def whole_trial(trial: Measures, variant: Variant) -> Expected | None:
    """Return what theory expects of a trial from its start to its end.

    None where nothing is known of its start, copies were evicted before their time, or requests failed that
    the scenario did not ask for: what failed is not kept.
    """
    failed = any(gate.name == "errors" and not gate.passed for gate in trial.gates)
    started = start_of([trial])
    if failed or started == "unknown" or _evicted(trial, variant):
        return None
    load = trial.record.load
    window = (0.0, load.warmup_s + load.duration_s)
    return theory.of_variant(variant, window, trial.fill_s, trial.joined, started)


def of_trial(trial: Measures, variant: Variant) -> TrialSummary:
    """Sum up a trial, valid or not."""
    record, expected = trial.record, whole_trial(trial, variant)
    z = None
    if expected is not None and expected.calls_error:
        z = (record.upstream.calls - expected.calls) / expected.calls_error
    return _summary(record, trial.gates).model_copy(
        update={
            "achieved_rate": trial.achieved_rate,
            "send_lag_p99_ms": trial.send_lag_p99_ms,
            "expected_calls": expected.calls if expected else None,
            "expected_calls_error": expected.calls_error if expected else None,
            "z": z,
        }
    )


def of_unmeasured(trial: StoredTrial, variant: Variant) -> TrialSummary:
    """Sum up a trial that has no request to measure: because of a fault, or of too low a rate."""
    rows = trial.rows() if trial.record.fault is None else None
    return _summary(trial.record, gates(trial.record, rows, variant))


def _summary(record: TrialRecord, judged: Sequence[Gate]) -> TrialSummary:
    outcomes = record.load.outcomes
    return TrialSummary(
        id=record.id,
        variant=record.variant,
        block=record.block,
        attempt=record.attempt,
        valid=all(gate.passed for gate in judged),
        reasons=reasons(judged),
        counts_valid=stands(judged, "counts"),
        counts_reasons=reasons(judged, "counts"),
        times_valid=stands(judged, "times"),
        times_reasons=reasons(judged, "times"),
        requests=record.load.requests,
        hits=outcomes.get("hit", 0),
        misses=outcomes.get("miss", 0),
        delayed=outcomes.get("delayed", 0),
        errors=outcomes.get("error", 0),
        unknown=outcomes.get("unknown", 0),
        unsent=record.load.unsent,
        failures=record.load.failures,
        statuses=record.load.statuses,
        told_by=record.load.told_by,
        upstream_calls=record.upstream.calls if record.upstream.known else None,
        upstream_counted_by=record.upstream.counted_by,
        app_hits=record.app.outcomes.get("hit", 0) if record.app is not None else None,
        app_misses=record.app.outcomes.get("miss", 0) if record.app is not None else None,
        achieved_rate=0.0,
        send_lag_p99_ms=None,
        rtt_achieved_ms=record.link.during_ms if record.link is not None else None,
        expected_calls=None,
        expected_calls_error=None,
        z=None,
        gates=[_gate(gate) for gate in judged],
    )


def _gate(gate: Gate) -> GateResult:
    outcome: GateOutcome = "not applicable" if not gate.applicable else "passed" if gate.passed else "failed"
    return GateResult(
        name=gate.name,
        figure=gate.figure,
        bound=gate.bound,
        outcome=outcome,
        protects=list(gate.protects),
        reason=gate.reason if outcome == "failed" else None,
    )
