"""The order of work: which variant is tried when, with which seed, and all else that a trial does."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from pydantic import Field

from scenarios.model import Scenario, Variant
from scenarios.schedule import Start
from scenarios.strict import Strict
from scenarios.timeline import Action


class Trial(Strict):
    """One variant to be deployed fresh, loaded once and torn down, with all that is done in it."""

    id: str
    block: int = Field(ge=1)
    attempt: int = Field(1, ge=1, description="Which try of it this is.")
    seed: int = Field(description="Seeds arrivals and keys; the same for every trial of a block.")
    settings: Variant = Field(description="What is deployed, and the workload that is sent to it.")
    start: Start
    warmup_s: float = Field(ge=0)
    duration_s: float = Field(gt=0)
    timeout_s: float = Field(gt=0)
    actions: tuple[Action, ...] = Field((), description="What is done to the deployment meanwhile.")

    @property
    def variant(self) -> str:
        """The id of its variant."""
        return self.settings.id

    @property
    def span_s(self) -> float:
        """How long it sends requests: its warm-up, and the time that is measured."""
        return self.warmup_s + self.duration_s

    def again(self, attempt: int) -> Trial:
        """Return another try of it."""
        return self.model_copy(update={"attempt": attempt})


def trial(scenario: Scenario, variant: Variant, block: int, seed: int) -> Trial:
    """Return the trial of a variant in a block, as the scenario's schedule has it."""
    schedule = scenario.schedule
    return Trial(
        id=f"b{block:02d}-{variant.id}",
        block=block,
        seed=seed,
        settings=variant,
        start=schedule.start,
        warmup_s=schedule.warmup,
        duration_s=schedule.duration,
        timeout_s=schedule.timeout,
    )


def block(scenario: Scenario, number: int) -> list[Trial]:
    """Return the trials of one block (numbered from 1) in their random order.

    A block depends on the scenario's seed and its own number alone, so that blocks can be added
    to a run without changing those before. All its trials share one seed: every variant of a
    block meets the same requests at the same times.
    """
    order = Random(f"{scenario.seed}/order/{number}")
    seed = Random(f"{scenario.seed}/traffic/{number}").getrandbits(32)
    variants = list(scenario.variants)
    order.shuffle(variants)
    return [trial(scenario, variant, number, seed) for variant in variants]


def blocks(scenario: Scenario) -> Iterator[list[Trial]]:
    """Yield the blocks of a run, one after the other."""
    for number in range(1, scenario.schedule.blocks + 1):
        yield block(scenario, number)
