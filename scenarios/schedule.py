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
        description="Contents of the caches when a trial starts. `steady`: those of a long-running service "
        "at "
        "a random moment. `cold`: empty, as after a deployment.",
    )
    warmup: Seconds = Field(
        0.0, ge=0, description="Time at the start of a trial that the statistics exclude."
    )
    duration: Seconds = Field(10.0, gt=0, le=86_400, description="Measured time of a trial.")
    blocks: int = Field(5, ge=1, le=1000, description="Rounds in which every variant is tried once.")
    most_blocks: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Maximum number of blocks; they are added while a comparison is undecided. None: four "
        "times "
        "`blocks` if a precision or a budget is given, otherwise no block is added.",
    )
    budget: Seconds | None = Field(
        None,
        gt=0,
        description="Wall-clock time after which no block is added and no trial is repeated; none: no limit.",
    )
    attempts: int = Field(
        2, ge=1, le=10, description="Maximum number of attempts for a trial that is invalid."
    )
    timeout: Seconds = Field(
        30.0, gt=0, description="A request without an answer after this time has failed."
    )

    @model_validator(mode="after")
    def _blocks_can_be_added(self) -> Schedule:
        if self.most_blocks is not None and self.most_blocks < self.blocks:
            raise ValueError(f"`most_blocks` ({self.most_blocks}) is less than `blocks` ({self.blocks})")
        return self


class Margin(Strict):
    """Differences too small to matter: within them, two variants are equivalent."""

    p50: Share = Field(
        0.05, ge=0, le=1, description="For mean and median latencies, as a share of the value."
    )
    p99: Share = Field(
        0.15, ge=0, le=1, description="For the 90th and 99th percentiles, as a share of the value."
    )
    hit_ratio: Share = Field(0.01, ge=0, le=1, description="For ratios, absolute (1pp).")


class Precision(Strict):
    """How narrow intervals are wanted: half their width. None: narrow enough to decide is enough."""

    p50: Share | None = Field(None, gt=0, le=1, description="For median latencies, as a share of the value.")
    p99: Share | None = Field(None, gt=0, le=1, description="For 99th percentiles, as a share of the value.")
    hit_ratio: Share | None = Field(None, gt=0, le=1, description="For hit ratios, absolute (1pp).")
