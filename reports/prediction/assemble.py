"""A question in, a prediction out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Final

from reports.prediction import crossings, sentences
from reports.prediction.model import (
    Deployment,
    Grid,
    Hour,
    MemoryPoint,
    Own,
    Point,
    Prediction,
    Series,
    Times,
    TopologyTimes,
)
from reports.prediction.points import name_of, point
from reports.prediction.question import Kind, Question
from simulation.prediction.counting import Topology
from simulation.prediction.outcomes import Outcome

_MOST_HOURS: Final = 24 * 366
_MOST_NAMED: Final = 3
_CACHES: Final[tuple[Topology, ...]] = ("sidecar", "separate")


def predict(question: Question, *, brief: bool = False) -> Prediction:
    """Compute everything that prediction.json has; `brief`: points, grid and hours, as an explorer needs."""
    began_s = time.monotonic()
    outcomes = {
        (kind, replicas): question.source.outcomes(kind.topology, replicas, question.ttls_s, l1_s=kind.l1_s)
        for kind in question.kinds
        for replicas in question.replicas
    }
    points = [
        point(question, kind, replicas, ttl_s, outcome)
        for (kind, replicas), found in outcomes.items()
        for ttl_s, outcome in zip(question.ttls_s, found, strict=True)
    ]
    own, times, grid = _own(question), _times(question), _grid(question)
    named = {each.id: each for each in points}
    pair = named[own.sidecar], named[own.separate]
    crossed = [] if brief else list(crossings.crossings(question))
    at = question.ttls_s.index(question.own_ttl_s)
    of_own = {kind: outcomes[kind, question.own_replicas][at] for kind in question.kinds}
    return Prediction(
        version=metadata.version("sidecar-bench"),
        command=list(question.command),
        answer=sentences.answer(question.span, own, pair, times, question.quota, crossed, grid),
        start=question.start,
        traffic=question.traffic,
        span=question.span,
        quota=question.quota,
        deploys_per_day=question.deploys_per_day,
        assumptions=list(question.assumptions),
        times=times,
        own=own,
        points=points,
        grid=grid,
        memory=[] if brief else list(_memory(question)),
        hours=list(_hours(question, of_own)),
        deployments=[] if brief else list(_deployments(question)),
        crossings=crossed,
        notes=[*question.notes, *_unfit(points), *_evicting(question, points)],
        seconds=time.monotonic() - began_s,
    )


def _own(question: Question) -> Own:
    def name(kind: Kind) -> str:
        return name_of(kind, question.own_replicas, question.own_ttl_s)

    return Own(
        ttl_s=question.own_ttl_s,
        replicas=question.own_replicas,
        routing=question.routing,
        sidecar=name(Kind("sidecar")),
        separate=name(Kind("separate")),
        points=[name(kind) for kind in question.kinds],
    )


def _times(question: Question) -> Times:
    link, any_times = question.link, next(iter(question.times.values()))
    return Times(
        rtt_ms=link.rtt_ms,
        upstream_ms=link.upstream_ms,
        upstream_mean_ms=link.upstream_mean_ms,
        upstream_spread=link.upstream_spread,
        hit_spread=any_times.spread,
        topologies=[
            TopologyTimes(
                topology=topology,
                l1_hit_ms=times.l1_hit_ms,
                hit_ms=times.hit_ms,
                hit_hops=times.hit_hops,
                miss_ms=times.miss_ms,
                miss_hops=times.miss_hops,
                hit_busy_ms=times.hit_busy_ms,
                miss_busy_ms=times.miss_busy_ms,
            )
            for topology, times in question.times.items()
        ],
    )


def _grid(question: Question) -> Grid:
    """Compute the grid of all topologies over TTLs and replicas; l1 in front as it was asked for."""
    series, hours, requests = [], [0.0], [0.0]
    for kind in question.kinds:
        columns = [
            question.grid_source.outcomes(kind.topology, replicas, question.grid_ttls_s, l1_s=kind.l1_s)
            for replicas in question.grid_replicas
        ]
        rows = list(zip(*columns, strict=True))
        hours, requests = [row[0].hours for row in rows], [row[0].total for row in rows]
        series.append(_series(kind, rows))
    return Grid(
        routing=question.routing,
        memory_total=question.memory_total,
        ttl_s=list(question.grid_ttls_s),
        replicas=list(question.grid_replicas),
        requests=requests,
        hours=hours,
        series=series,
    )


def _series(kind: Kind, rows: list[tuple[Outcome, ...]]) -> Series:
    return Series(
        topology=kind.topology,
        l1_s=kind.l1_s,
        calls=[[each.total_calls for each in row] for row in rows],
        quota_calls=[[each.total_quota for each in row] for row in rows],
        hits=[[each.hits for each in row] for row in rows],
        l1_hits=[[each.l1_hits for each in row] for row in rows],
        delayed=[[each.delayed for each in row] for row in rows],
        stale=[[each.stale for each in row] for row in rows],
        busiest=[[each.busiest()[0] for each in row] for row in rows],
        quota_busiest=[[each.busiest(quota=True)[0] for each in row] for row in rows],
    )


def _hours(question: Question, outcomes: dict[Kind, Outcome]) -> Iterator[Hour]:
    """Tell the traffic hour by hour. Topologies differ in how many hours they tell where it is described."""
    names = {kind: name_of(kind, question.own_replicas, question.own_ttl_s) for kind in outcomes}
    calls = {names[kind]: outcome.calls_by_hour for kind, outcome in outcomes.items()}
    counted = {names[kind]: outcome.quota_by_hour for kind, outcome in outcomes.items()}
    requests = max((outcome.requests for outcome in outcomes.values()), key=len)
    for hour in range(min(len(requests), _MOST_HOURS)):
        begins = None
        if question.begins_us is not None:
            moment = datetime.fromtimestamp(question.begins_us / 1e6, UTC) + timedelta(hours=hour)
            begins = moment.isoformat().replace("+00:00", "Z")
        yield Hour(
            begins=begins,
            requests=round(requests[hour]),
            calls={name: float(each[hour % len(each)]) for name, each in calls.items()},
            quota_calls={name: float(each[hour % len(each)]) for name, each in counted.items()},
        )


def _memory(question: Question) -> Iterator[MemoryPoint]:
    """Tell the user's own combination at several sizes of memory, of all caches together."""
    for total in question.memories:
        source = question.source.at_memory(total)
        found = {
            topology: source.outcomes(topology, question.own_replicas, [question.own_ttl_s])[0]
            for topology in _CACHES
        }
        yield MemoryPoint(
            maxmemory=total,
            hit_ratio={name: each.hits / max(each.total, 1.0) for name, each in found.items()},
            upstream_calls={name: each.total_calls for name, each in found.items()},
            evicted={name: each.evicted for name, each in found.items()},
        )


def _deployments(question: Question) -> Iterator[Deployment]:
    for kind in question.kinds:
        if kind.topology == "none":
            continue
        found = question.source.deployed(
            kind.topology, question.own_replicas, question.own_ttl_s, l1_s=kind.l1_s
        )
        yield Deployment(
            point=name_of(kind, question.own_replicas, question.own_ttl_s),
            extra_calls=found.extra_calls,
            extra_calls_se=found.extra_calls_se,
            simulated=found.simulated,
            per_day=question.deploys_per_day,
        )


def _unfit(points: list[Point]) -> list[str]:
    unfit = [each for each in points if each.does_not_fit]
    if not unfit:
        return []
    more = f", and so do {len(unfit) - 1} more points" if len(unfit) > 1 else ""
    return [f"{unfit[0].id} {unfit[0].does_not_fit}{more}."]


def _evicting(question: Question, points: list[Point]) -> Iterator[str]:
    """Say where caches evict, and what is left out there."""
    evicting = [each for each in points if each.evicted]
    if not evicting:
        return
    listed = ", ".join(each.id for each in evicting[:_MOST_NAMED])
    more = f" and {len(evicting) - _MOST_NAMED} more" if len(evicting) > _MOST_NAMED else ""
    yield (
        f"Memory is too small for all that would be kept in {listed}{more}: copies are evicted before their "
        "TTL is over, the one unused for longest first. Redis takes the oldest of a few at random, and makes "
        "a few more calls."
    )
    if question.refined:
        yield "Where caches evict, jitter, expired copies and caches in front are left out."
