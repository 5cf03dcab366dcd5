"""The events of a run, in this order:

begins                     a session of the run begins: the first, or one that resumes it
  trial                    a trial is next
    stage, progress        it is deployed, loaded, counted and removed
    judged                 an attempt at it is stored; another may follow
  looked                   the plan allowed a look at what has been found so far
  says                     the run has something to say, at any time
ended                      the session has ended, and why
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

StageName = Literal["deploying", "filling", "loading", "counting", "removing"]
Why = Literal["plan", "budget", "refused", "interrupted", "failed"]


class _Event(BaseModel):
    """A frozen event. Its `type` tells it from the others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Begins(_Event):
    """A session of a run begins."""

    type: Literal["begins"] = "begins"
    run_id: str
    scenario: str = Field(description="The scenario's name.")
    stack: str = Field(description="docker, processes or targets.")
    reason: str = Field("", description="Why that stack.")
    trials: tuple[str, ...] = Field(description="All planned trials, in order; more may be added.")
    stored: int = Field(description="Attempts that were stored before this session.")


class TrialBegins(_Event):
    """A trial is next: it is tried, or was stored in an earlier session."""

    type: Literal["trial"] = "trial"
    trial: str
    variant: str
    block: int
    seed: int
    rate: float | None = Field(description="Requests per second; None: as a log has them.")
    stored: bool = Field(description="An earlier session has stored its first attempt.")


class Stage(_Event):
    """The trial under way enters a stage."""

    type: Literal["stage"] = "stage"
    trial: str
    attempt: int
    stage: StageName


class Progress(_Event):
    """Counts of the trial under way since its load began; about one event a second."""

    type: Literal["progress"] = "progress"
    trial: str
    attempt: int
    t_s: float = Field(description="Seconds since the load began, by its own clock.")
    offered: int = Field(description="Requests that were due so far.")
    done: int = Field(description="Requests that were answered, or failed, so far.")
    outcomes: dict[str, int] = Field(description="Those, by outcome.")


class FailedGate(_Event):
    """A condition of validity that a trial does not meet."""

    name: str
    reason: str


class Judged(_Event):
    """An attempt at a trial was judged, and is stored."""

    type: Literal["judged"] = "judged"
    trial: str
    variant: str
    block: int
    attempt: int
    requests: int
    outcomes: dict[str, int]
    outcomes_known: bool = Field(description="Answers told hits from misses.")
    upstream_calls: int | None = Field(description="None where nobody counted them.")
    counts_valid: bool
    times_valid: bool
    failed: tuple[FailedGate, ...] = Field(description="Why the trial is invalid; empty where it is valid.")


class Looked(_Event):
    """The plan of looks allowed to compare the variants, and this came of it."""

    type: Literal["looked"] = "looked"
    blocks: int = Field(description="Blocks that were done.")
    stop: bool
    reason: str
    undecided: tuple[str, ...] = Field(description="Comparisons and thresholds that are not decided.")


class Says(_Event):
    """A sentence for people who watch the run."""

    type: Literal["says"] = "says"
    sentence: str


class Ended(_Event):
    """A session of the run has ended; `interrupted` and `failed` runs can be resumed."""

    type: Literal["ended"] = "ended"
    why: Why
    reason: str = ""


Event = Annotated[
    Begins | TrialBegins | Stage | Progress | Judged | Looked | Says | Ended, Field(discriminator="type")
]
Listener = Callable[[Event], None]
