"""The explorer of a stored run's report: its own traffic, over TTLs and numbers of replicas."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bench.errors import UserError
from bench.predicting import asking, times
from scenarios.model import Scenario
from scenarios.reading.document import ScenarioError

if TYPE_CHECKING:
    from reports.analysis.run import Analysis
    from reports.prediction.explorer import Explorer, Measured
    from reports.prediction.model import Prediction
    from reports.prediction.question import Question
    from simulation.prediction.limited import Memory

_TIMED: Final = {"sidecar", "separate"}  # others were not measured: beside these they would mislead
_CURVES: Final = "Curves are computed from this run’s traffic, and from what its hits and misses took."
_CROSSES: Final = (
    "Crosses: what its trials measured, with as many replicas; latencies at its own round trip and upstream "
    "latency alone."
)


def explorer(analysis: Analysis) -> Explorer | None:
    """Return the explorer of a run's report; None where nothing computes its long run by a formula.

    That is so for logs, limits of memory that evict, caches in front, and services that were running already.
    """
    from reports.prediction import explorer as page

    found = prediction(analysis)
    if found is None:
        return None
    measured = list(measured_points(analysis))
    return page.explorer(found, measured, " ".join([_CURVES, *([_CROSSES] if measured else [])]))


def prediction(analysis: Analysis) -> Prediction | None:
    """Predict a run's own traffic with the times that its trials measured."""
    from reports.prediction.assemble import predict
    from reports.prediction.described import Described

    scenario = analysis.scenario
    if not analysis.deployed or not _described(scenario) or not _both_timed(analysis):
        return None
    try:
        question = asking.ask(asking.Options(scenario=scenario.name, read=scenario))
        assumed = times.assumed(question.link, dict.fromkeys(("rtt_ms", "upstream_ms"), ("assumed", "")))
        found = times.measured_in(analysis, analysis.run.record.run_id, assumed)
    except (UserError, ScenarioError):
        return None
    source = question.source
    if not isinstance(source, Described) or not source.exact or question.refined:
        return None
    fitting = _fitting(question, source.memory)
    if not set(question.replicas) <= set(fitting):
        return None
    fill_s = found.times["sidecar"].fill_s(found.link)
    source = dataclasses.replace(source, caching=dataclasses.replace(source.caching, fill_s=fill_s))
    asked = dataclasses.replace(
        question, source=source, grid_source=source, grid_replicas=fitting, times=found.times,
        link=found.link, kinds=tuple(kind for kind in question.kinds if kind.topology in _TIMED),
    )  # fmt: skip
    return predict(asked, brief=True)


def _fitting(question: Question, memory: Memory | None) -> tuple[int, ...]:
    """Return numbers of replicas for which formulas hold: caches that share the memory evict nothing."""
    if memory is None:
        return question.grid_replicas
    if memory.binds("separate", 1):
        return ()
    return tuple(count for count in question.grid_replicas if not memory.binds("sidecar", count))


def measured_points(analysis: Analysis) -> Iterator[Measured]:
    """Yield what trials measured that began as in the long run: of a cold start nothing is drawn."""
    from reports.prediction.explorer import Measured

    first = analysis.scenario.variants[0]
    summaries = {one.id: one for one in analysis.summary.variants}
    for variant in analysis.scenario.variants:
        summary = summaries[variant.id]
        if summary.start != "steady" or variant.topology == "none" or variant.cache.l1:
            continue
        same = (variant.link, variant.upstream) == (first.link, first.upstream)
        hits, mean = summary.metrics.hit_ratio, summary.metrics.mean_ms
        hourly = summary.upstream_calls_per_hour
        yield Measured(
            name=variant.id,
            topology=variant.topology,
            ttl_s=variant.cache.ttl,
            replicas=variant.replicas,
            calls=hourly.measured.value if hourly and hourly.measured else None,
            hits=hits.value if hits else None,
            mean=mean.value if mean and same else None,
        )


def _described(scenario: Scenario) -> bool:
    """Tell whether all variants have the same traffic, which formulas describe."""
    first = scenario.variants[0]
    return first.workload.log is None and all(
        (variant.workload, variant.cache.maxmemory) == (first.workload, first.cache.maxmemory)
        for variant in scenario.variants
    )


def _both_timed(analysis: Analysis) -> bool:
    timed = {variant.topology for variant in analysis.scenario.variants if analysis.timed(variant.id)}
    return timed >= _TIMED
