"""When and how often a run tries its variants, and how narrow its intervals are to become."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scenarios.strict import Strict
from scenarios.units import Seconds, Share

Start = Literal["steady", "cold"]


class Schedule(Strict):
    """How each trial starts, how long it is, and how often each variant is tried."""

    start: Start = Field(
        "steady",
        description="What the caches hold when a trial starts. `steady`: what they hold at a random moment "
        "of a long-running service. `cold`: nothing, as after a deployment.",
    )
    warmup: Seconds = Field(
        0.0, ge=0, description="Time at the start of a trial that the statistics leave out."
    )
    duration: Seconds = Field(10.0, gt=0, le=86_400, description="Time of a trial that is measured.")
    blocks: int = Field(5, ge=1, le=1000, description="Rounds in which every variant is tried once.")
    most_blocks: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Blocks are added, up to so many, while a comparison is undecided. None: four times "
        "`blocks` where a precision or a budget is given, else none is added.",
    )
    budget: Seconds | None = Field(
        None,
        gt=0,
        description="Wall-clock time after which no block is added to the planned ones, and no trial is "
        "repeated; none: no limit.",
    )
    attempts: int = Field(2, ge=1, le=10, description="How often a trial that comes out invalid is tried.")
    timeout: Seconds = Field(30.0, gt=0, description="A request without an answer by then has failed.")

    @model_validator(mode="after")
    def _blocks_can_be_added(self) -> Schedule:
        if self.most_blocks is not None and self.most_blocks < self.blocks:
            raise ValueError(f"`most_blocks` ({self.most_blocks}) is less than `blocks` ({self.blocks})")
        return self


class Margin(Strict):
    """Differences too small to matter: within them, two variants are equivalent."""

    p50: Share = Field(0.05, ge=0, le=1, description="Of mean and median latencies, as a share of them.")
    p99: Share = Field(0.15, ge=0, le=1, description="Of the 90th and 99th percentiles, as a share of them.")
    hit_ratio: Share = Field(0.01, ge=0, le=1, description="Of ratios, in absolute terms (1pp).")


class Precision(Strict):
    """How narrow intervals are wanted: half their width. None: narrow enough to decide is enough."""

    p50: Share | None = Field(None, gt=0, le=1, description="Of median latencies, as a share of them.")
    p99: Share | None = Field(None, gt=0, le=1, description="Of 99th percentiles, as a share of them.")
    hit_ratio: Share | None = Field(None, gt=0, le=1, description="Of hit ratios, in absolute terms (1pp).")
