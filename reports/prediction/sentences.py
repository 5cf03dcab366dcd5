"""A prediction in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from reports.calls.sentences import number
from reports.prediction.model import Crossing, Grid, Own, Point, Prediction, Quota, Span, Times, TopologyTimes
from traffic.logs.telling import spoken

_SAME: Final = 0.005  # of a mean: closer than that nobody tells them apart
NAMES: Final = {
    "none": "no cache",
    "process": "a cache in the process",
    "sidecar": "sidecars",
    "separate": "a separate Redis",
}


def answer(
    span: Span,
    own: Own,
    pair: tuple[Point, Point],
    times: Times,
    quota: Quota | None,
    crossings: Sequence[Crossing],
    grid: Grid,
) -> str:
    """Return the answer: calls of `pair` (sidecars, separate), latencies, and where the two change places."""
    said = [_calls(span, own, pair, quota), *_latencies(pair, times), *_places(pair, crossings, grid)]
    return " ".join(said)


def _calls(span: Span, own: Own, pair: tuple[Point, Point], quota: Quota | None) -> str:
    sidecar, separate = pair
    settings = f"{_replicas(own.replicas)} and a TTL of {duration(own.ttl_s)}"
    if span.kind == "log":
        begun = f"On {_these(span.span_s)} of traffic with {settings}"
    else:
        begun = f"At {span.rate:g} requests a second over {span.keys:,} paths, with {settings}"
    busiest = _busiest(separate) or _busiest(sidecar)
    when = "in this log" if span.partial_hour else "in the busiest hour" if busiest else "an hour"
    calls = (
        f"{begun}, a separate Redis makes {number(separate.upstream_calls_per_hour.busiest)} upstream calls "
        f"{when}, sidecars {number(sidecar.upstream_calls_per_hour.busiest)}{_range(sidecar)}"
    )
    if quota is None:
        return f"{calls}."
    return f"{calls}{_of_quota(pair, quota)}."


def _busiest(point: Point) -> bool:
    hourly = point.upstream_calls_per_hour
    return hourly.busiest > 1.001 * hourly.mean


def _range(point: Point) -> str:
    sd = point.upstream_calls_per_hour.busiest_sd
    if sd is None or 2 * sd < 0.5:
        return ""
    return f" ± {number(2 * sd)}"


def _of_quota(pair: tuple[Point, Point], quota: Quota) -> str:
    """Say what part of the quota is used, and whether the two fit."""
    sidecar, separate = pair
    used = [point.quota_calls_per_hour.busiest for point in pair]
    counted = ""
    if any(point.quota_calls < point.upstream_calls * (1 - 1e-9) for point in pair):
        counted = f"; {number(used[1])} and {number(used[0])} of them count against the quota"
    share = f"{max(used) / quota.calls:.0%} of {quota.calls:,}"
    over = [point.hours_over_quota or 0.0 for point in (sidecar, separate)]
    if max(over) < 0.5:
        return f"{counted} ({share}): both fit"
    if min(over) >= 0.5:
        return f"{counted}: neither fits a quota of {quota.calls:,}"
    which = (
        ("sidecars exceed", "a separate Redis fits")
        if over[0] >= 0.5
        else ("a separate Redis exceeds", "sidecars fit")
    )
    hours = max(over)
    of = f" in {number(hours)} hours" if hours >= 1.5 else ""
    return f"{counted}: {which[0]} the quota of {quota.calls:,}{of}, and {which[1]}"


def _latencies(pair: tuple[Point, Point], times: Times) -> Iterator[str]:
    sidecar, separate = pair
    sooner = hit_ms(times, "separate") - hit_ms(times, "sidecar")
    if sidecar.mean_ms is None or separate.mean_ms is None:
        unfit = (
            "Neither"
            if sidecar.mean_ms is None and separate.mean_ms is None
            else (
                "With sidecars the service"
                if sidecar.mean_ms is None
                else "With a separate Redis the service"
            )
        )
        yield f"{unfit} can serve the busiest hour: {(sidecar.does_not_fit or separate.does_not_fit)}."
        return
    if abs(sooner) < 5e-4:
        hits = "Hits take equally long"
    else:
        hits = f"Sidecars answer hits {_ms(abs(sooner))} ms {'sooner' if sooner > 0 else 'later'}"
    means = (sidecar.mean_ms, separate.mean_ms)
    if math.isclose(*means, rel_tol=_SAME):
        yield f"{hits}, and the means are about equal ({_ms(means[0])} ms)."
        return
    lower = "sidecars" if means[0] < means[1] else "a separate Redis"
    yield f"{hits}, and the mean is lower with {lower} ({_ms(min(means))} ms against {_ms(max(means))} ms)."


def _places(pair: tuple[Point, Point], crossings: Sequence[Crossing], grid: Grid) -> Iterator[str]:
    """Say where the topology of the lower mean changes, or that it does not."""
    if pair[0].mean_ms is None or pair[1].mean_ms is None:
        return
    found = [_place(crossing) for crossing in crossings if crossing.metric == "mean_ms"]
    if found:
        yield f"The topology with the lower mean changes {_listed(found)}."
        return
    yield (
        f"The same topology has the lower mean at every TTL from {duration(grid.ttl_s[0])} to "
        f"{duration(grid.ttl_s[-1])}, with up to {_replicas(grid.replicas[-1])}, and at every round trip."
    )


def _place(crossing: Crossing) -> str:
    value = crossing.value
    if crossing.parameter == "ttl_s":
        return f"at a TTL of {duration(value)}"
    if crossing.parameter == "replicas":
        return f"at {value:.0f} replicas"
    if crossing.parameter == "rtt_ms":
        return f"at a round trip of {_ms(value)} ms"
    return f"at an upstream latency of {_ms(value)} ms"


def times(found: Prediction) -> str:
    """Say which times are assumed, and how to have them measured; empty where none is."""
    named = {one.name: one for one in found.assumptions if one.origin == "assumed"}
    words = {
        "hit_ms.sidecar": "a hit",
        "miss_ms.sidecar": "a miss without its upstream call",
        "rtt_ms": "a round trip",
        "upstream_ms": "the upstream",
    }
    listed = [f"{said} {named[name].value:g} ms" for name, said in words.items() if name in named]
    if not listed:
        return ""
    return (
        f"Assumed, not measured: {', '.join(listed)}. --measured RUN takes times from a stored run; "
        "--hit, --rtt and --upstream-latency set them."
    )


def hit_ms(times: Times, topology: str) -> float:
    """Return what a hit takes in a topology."""
    of: TopologyTimes = next(each for each in times.topologies if each.topology == topology)
    return of.hit_ms + of.hit_hops * times.rtt_ms


def duration(seconds: float) -> str:
    """Return a duration as people say it, with two units at most."""
    if seconds < 600:
        return spoken(seconds)
    minutes = round(seconds / 60)
    hours, days = minutes // 60, minutes // 1440
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    rest = round((minutes - 1440 * days) / 60)
    days, rest = (days + 1, 0) if rest == 24 else (days, rest)
    return f"{days} days {rest} h" if rest and days < 7 else f"{days} days"


def _these(span_s: float) -> str:
    said = duration(span_s)
    return f"these {said}" if not said.startswith("1 ") else f"this {said}"


def _replicas(count: int) -> str:
    return f"{count} replica" if count == 1 else f"{count} replicas"


def _ms(value: float) -> str:
    """Show milliseconds with two or three figures."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])}, or {items[-1]}"
