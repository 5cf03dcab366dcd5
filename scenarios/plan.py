"""The order of work: which variant is tried when, and with which seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from pydantic import Field

from scenarios.model import Scenario, Strict


class Trial(Strict):
    """One variant to be deployed fresh, loaded once and torn down."""

    id: str
    block: int = Field(ge=1)
    variant: str
    seed: int = Field(description="Seeds arrivals and keys; the same for every trial of a block.")


def block(scenario: Scenario, number: int) -> list[Trial]:
    """Return the trials of one block (numbered from 1) in their random order.

    A block depends on the scenario's seed and its own number alone, so that blocks can be added
    to a run without changing those before. All its trials share one seed: every variant of a
    block meets the same requests at the same times.
    """
    order = Random(f"{scenario.seed}/order/{number}")
    seed = Random(f"{scenario.seed}/traffic/{number}").getrandbits(32)
    variants = [variant.id for variant in scenario.variants]
    order.shuffle(variants)
    return [Trial(id=f"b{number:02d}-{name}", block=number, variant=name, seed=seed) for name in variants]


def blocks(scenario: Scenario) -> Iterator[list[Trial]]:
    """Yield the blocks of a run, one after the other."""
    for number in range(1, scenario.schedule.blocks + 1):
        yield block(scenario, number)
