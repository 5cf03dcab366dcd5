"""What can be said of a scenario before anything is deployed: what a run of it will not be able to decide."""

from __future__ import annotations

from collections.abc import Iterator

from reports.calls import outlook
from reports.effects import LEAST_BLOCKS
from scenarios.model import Scenario


def of(scenario: Scenario, *, deployed: bool = True) -> list[str]:
    """Return a sentence, with the remedy, on each thing that a run of this scenario cannot decide.

    Not `deployed`: it will meet running services, whose caches hold what they hold.
    """
    beyond = outlook.remarks(scenario) if deployed else [outlook.TARGETS]
    return [*_few_blocks(scenario), *beyond]


def _few_blocks(scenario: Scenario) -> Iterator[str]:
    schedule = scenario.schedule
    if max(schedule.blocks, schedule.most_blocks or 0) < LEAST_BLOCKS and len(scenario.variants) > 1:
        yield (
            f"{schedule.blocks} blocks decide nothing: comparing variants takes at least {LEAST_BLOCKS}, "
            f"such as with --blocks {LEAST_BLOCKS}."
        )
