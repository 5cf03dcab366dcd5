"""What can be said of a scenario before anything is deployed: what a run of it will not be able to decide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from reports.calls import outlook
from reports.effects import LEAST_BLOCKS
from scenarios.model import Scenario

# Ten requests beyond it make a percentile: below this a trial does not even have a median.
_LEAST_REQUESTS: Final = 20


def of(scenario: Scenario, *, deployed: bool = True) -> list[str]:
    """Return a sentence, with the remedy, on each thing that a run of this scenario cannot decide.

    Not `deployed`: it will meet running services, whose caches hold what they hold.
    """
    beyond = outlook.remarks(scenario) if deployed else [outlook.TARGETS]
    return [*_few_requests(scenario), *_few_blocks(scenario), *beyond]


def _few_requests(scenario: Scenario) -> Iterator[str]:
    duration_s = scenario.schedule.duration
    for rate in sorted({of.workload.rate for of in scenario.variants if of.workload.arrivals != "log"}):
        expected = rate * duration_s
        if expected < _LEAST_REQUESTS:
            needed_s = math.ceil(100 * _LEAST_REQUESTS / rate) / 100
            yield (
                f"At {rate:g} requests/s, a trial of {duration_s:g} s measures {expected:.3g} requests on "
                f"average, too few to say anything: raise --rate, or --duration to {needed_s:g}s."
            )


def _few_blocks(scenario: Scenario) -> Iterator[str]:
    schedule = scenario.schedule
    if max(schedule.blocks, schedule.most_blocks or 0) < LEAST_BLOCKS and len(scenario.variants) > 1:
        yield (
            f"{schedule.blocks} blocks decide nothing: comparing variants takes at least {LEAST_BLOCKS}, "
            f"such as with --blocks {LEAST_BLOCKS}."
        )
