"""One combination of a prediction: what was simulated, its latencies and its price."""

from __future__ import annotations

from functools import lru_cache

from reports.cost.monthly import Traffic, cost
from reports.cost.prices import Prices, read_prices
from reports.prediction.model import Hourly, Latency, Point
from reports.prediction.question import Kind, Question
from scenarios.reading.document import ScenarioError
from simulation.prediction import latency as latencies
from simulation.prediction.outcomes import Outcome


def name_of(kind: Kind, replicas: int, ttl_s: float) -> str:
    """Return a point's id."""
    return f"{kind.name}-{replicas}-{ttl_s:g}s"


def point(question: Question, kind: Kind, replicas: int, ttl_s: float, outcome: Outcome) -> Point:
    """Return one combination as prediction.json has it."""
    times, shares = question.times[kind.topology], outcome.shares()
    rate = question.rate / replicas
    found = latencies.latency(times, question.link, shares, rate)
    peak = latencies.utilization(times, shares, question.peak_rate / replicas)
    fits = found is not None and peak < latencies.MOST_BUSY
    hours, total = outcome.hours, max(outcome.total, 1.0)
    return Point(
        id=name_of(kind, replicas, ttl_s),
        topology=kind.topology,
        l1_s=kind.l1_s,
        replicas=replicas,
        ttl_s=ttl_s,
        routing=question.routing,
        maxmemory=None if kind.topology == "none" else question.each_maxmemory(kind.topology, replicas),
        seeds=outcome.calls.shape[0],
        requests=round(outcome.total),
        hits=outcome.hits,
        l1_hits=outcome.l1_hits,
        delayed=outcome.delayed,
        stale=outcome.stale,
        upstream_calls=outcome.total_calls,
        quota_calls=outcome.total_quota,
        hit_ratio=outcome.hits / total,
        hit_ratio_se=outcome.hit_ratio_se,
        upstream_calls_se=outcome.calls_se,
        evicted=outcome.evicted,
        upstream_calls_per_hour=_hourly(outcome, hours, quota=False),
        quota_calls_per_hour=_hourly(outcome, hours, quota=True),
        hours_over_quota=outcome.hours_over(question.quota.calls) if question.quota else None,
        latency=_latency(found) if found is not None and fits else None,
        mean_ms=found.mean_ms if found is not None and fits else None,
        utilization=peak,
        does_not_fit=None if fits else _does_not_fit(question, replicas, peak),
        monthly_usd=monthly_usd(question, kind, replicas, outcome),
    )


def _hourly(outcome: Outcome, hours: float, *, quota: bool) -> Hourly:
    busiest, at = outcome.busiest(quota=quota)
    total = outcome.total_quota if quota else outcome.total_calls
    return Hourly(
        mean=total / hours, busiest=busiest, busiest_hour=at if outcome.calls.shape[1] > 1 else None
    )


def _latency(found: latencies.Latency) -> Latency:
    return Latency(
        mean_ms=found.mean_ms,
        p50_ms=found.p50_ms,
        p90_ms=found.p90_ms,
        p99_ms=found.p99_ms,
        waiting_ms=found.waiting_ms,
    )


def _does_not_fit(question: Question, replicas: int, busy: float) -> str:
    each = question.peak_rate / replicas
    least = int(replicas * busy) + 1
    return (
        f"does not fit: in the busiest hour each replica would have to serve {each:,.1f} requests a second, "
        f"which takes {busy:.2f} times its CPU; {least} replicas could"
    )


@lru_cache(maxsize=1)
def _prices() -> Prices:
    return read_prices()


def monthly_usd(question: Question, kind: Kind, replicas: int, outcome: Outcome) -> float | None:
    """Return what a combination costs a month; None where Fargate has no such tasks."""
    topology = "none" if kind.topology == "process" else kind.topology
    cache = question.base.cache
    limit = question.each_maxmemory(kind.topology, replicas)
    if limit is not None:
        caches = 1 if kind.topology == "separate" else replicas
        cache = cache.model_copy(update={"maxmemory": limit * caches})
    variant = question.base.model_copy(update={"topology": topology, "replicas": replicas, "cache": cache})
    total = max(outcome.total, 1.0)
    traffic = Traffic(
        question.rate,
        (outcome.hits - outcome.l1_hits) / total,
        outcome.total_calls / total,
        question.body_bytes,
    )
    try:
        return cost(variant, _prices(), traffic).total
    except ScenarioError:
        return None
