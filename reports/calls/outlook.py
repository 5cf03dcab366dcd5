"""What the trials of a scenario cannot show: said before anything is deployed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from reports import theory
from reports.calls import longrun
from reports.calls.sentences import number
from scenarios.model import Scenario

# Fewer calls than these, over all planned trials of a variant, are known to ±50% at best.
_FEW: Final = 16
_MOST_NAMED: Final = 4
TARGETS: Final = (
    "Running services keep what they have cached, which may not represent the long run. Upstream"
    " calls per hour are therefore not extrapolated; sidecar-bench cost computes them for a scenario of "
    "the same traffic."
)


def remarks(scenario: Scenario) -> list[str]:
    """Return what a user should know before a run, each with its remedy; nothing where all is well."""
    found = _cold(scenario) if scenario.schedule.start == "cold" else _few(scenario)
    return [*found, *_evicting(scenario)]


def _cold(scenario: Scenario) -> Iterator[str]:
    """Say where trials from a cold start are far from the long run."""
    schedule = scenario.schedule
    window = (schedule.warmup, schedule.warmup + schedule.duration)
    far = []
    for variant in scenario.variants:
        if not variant.layout.cached or variant.workload.log is not None:
            continue
        fill_s, joined = variant.upstream.latency_ms / 1000, variant.cache.single_flight
        expected = theory.of_variant(variant, window, fill_s, joined)
        long_run = longrun.of_variant(variant)
        if expected is None or long_run is None:
            if variant.cache.ttl > window[1]:
                far.append(f"{variant.id} (its TTL of {variant.cache.ttl:g} s is longer than a trial)")
        elif abs(expected.hit_ratio - long_run.hit_ratio) > scenario.margin.hit_ratio:
            far.append(
                f"{variant.id} (hit ratio {expected.hit_ratio:.1%} in a trial, {long_run.hit_ratio:.1%} "
                "in the long run)"
            )
    if far:
        yield (
            f"Trials start cold and measure {schedule.duration:g} s: they show the time after a deployment, "
            f"not the long run. That matters for {_listed(far)}. For the long run set schedule.start: "
            "steady, or make schedule.warmup longer than the TTL."
        )


def _few(scenario: Scenario) -> Iterator[str]:
    """Say where so few calls are expected that counting them decides nothing."""
    schedule = scenario.schedule
    few, least = [], float("inf")
    for variant in scenario.variants:
        long_run = longrun.of_variant(variant)
        if long_run is None or variant.workload.arrivals == "log":
            continue
        calls = long_run.calls_per_hour * schedule.duration * schedule.blocks / 3600
        if calls < _FEW:
            few.append(f"{variant.id} about {number(calls)}")
            least = min(least, calls)
    if few:
        longer_s = schedule.duration * _FEW / max(least, 1e-9)
        yield (
            f"So few upstream calls are expected in all trials together ({_listed(few)}) that counting "
            "them tells little of the calls per hour. The report computes those. To measure them, too, make "
            f"trials longer (schedule.duration: {_rounded(longer_s)} s or more) or add blocks."
        )


def _evicting(scenario: Scenario) -> Iterator[str]:
    short = [
        variant.id
        for variant in scenario.variants
        if (found := longrun.of_variant(variant)) is not None and found.means == "simulation"
    ]
    if short:
        yield (
            f"Redis has too little memory for the long run of {_listed(short)} and will evict copies before "
            "their TTL is over. If that is not what you want to compare, raise cache.maxmemory."
        )


def _rounded(seconds: float) -> str:
    """Round up to two figures."""
    whole = math.ceil(seconds)
    step = 10 ** max(len(str(whole)) - 2, 0)
    return str(-(-whole // step) * step)


def _listed(items: Sequence[str]) -> str:
    shown = list(items[:_MOST_NAMED])
    if len(items) > len(shown):
        shown.append(f"{len(items) - len(shown)} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
