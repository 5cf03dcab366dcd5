"""What can be said of a scenario before anything is deployed: what a run of it will not be able to decide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Final

from loadtests.upstream import LARGEST
from reports.calls import outlook
from reports.inference.effects import LEAST_BLOCKS
from scenarios.model import Scenario
from traffic import keys
from traffic.logs import answers

# Ten requests beyond it make a percentile: below this a trial does not even have a median.
_LEAST_REQUESTS: Final = 20
_FEW_BODIES: Final = 0.001


def of(scenario: Scenario, *, deployed: bool = True) -> list[str]:
    """Return a sentence, with the remedy, on each thing that a run of this scenario cannot decide.

    Not `deployed`: it will meet running services, whose caches hold what they hold.
    """
    beyond = outlook.remarks(scenario) if deployed else [outlook.TARGETS]
    bodies = _large_bodies(scenario) if deployed else ()
    return [*_few_requests(scenario), *_few_blocks(scenario), *bodies, *beyond]


def _large_bodies(scenario: Scenario) -> Iterator[str]:
    """Say where the stub cannot send bodies as large as they should be."""
    for upstream in dict.fromkeys(of.upstream for of in scenario.variants if of.workload.log is None):
        if not upstream.body_spread:
            continue
        beyond = 1 - NormalDist().cdf(math.log(LARGEST / upstream.body) / upstream.body_spread)
        if beyond > _FEW_BODIES:
            yield (
                f"{beyond:.1%} of the bodies should be larger than 1 MiB (upstream.body {upstream.body:,}, "
                f"body_spread {upstream.body_spread:g}), but the stub sends at most 1 MiB: to get the "
                "configured sizes, "
                "lower one of them."
            )
    for log in dict.fromkeys(of.workload.log for of in scenario.variants):
        large = int((answers.sizes(keys.read(log)) > LARGEST).sum()) if log is not None else 0
        if large:
            yield f"{log}: {large:,} resources are larger than 1 MiB; the stub sends 1 MiB for each."


def _few_requests(scenario: Scenario) -> Iterator[str]:
    duration_s = scenario.schedule.duration
    for rate in sorted({of.workload.rate for of in scenario.variants if of.workload.arrivals != "log"}):
        expected = rate * duration_s
        if expected < _LEAST_REQUESTS:
            needed_s = math.ceil(100 * _LEAST_REQUESTS / rate) / 100
            yield (
                f"At {rate:g} requests/s, a trial of {duration_s:g} s measures {expected:.3g} requests on "
                f"average, too few for any result: raise --rate, or --duration to {needed_s:g}s."
            )


def _few_blocks(scenario: Scenario) -> Iterator[str]:
    schedule = scenario.schedule
    if max(schedule.blocks, schedule.most_blocks or 0) < LEAST_BLOCKS and len(scenario.variants) > 1:
        yield (
            f"{schedule.blocks} blocks decide nothing: comparisons need at least {LEAST_BLOCKS}; "
            f"use --blocks {LEAST_BLOCKS}."
        )
