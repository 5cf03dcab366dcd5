"""What is done to a deployment while it is loaded, and what came of it.

Times count from the moment at which the load's schedule begins, by its monotonic clock.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scenarios.strict import Strict

# The methods of `compose.faults.Faults`.
Verb = Literal[
    "kill_redis",
    "stop_redis",
    "start_redis",
    "pause_redis",
    "resume_redis",
    "kill_replica",
    "replace_replica",
    "add_replica",
    "remove_replica",
    "roll",
    "cut_link",
    "heal_link",
]


class Action(Strict):
    """Something to be done to a deployment."""

    at_s: float = Field(ge=0, description="When; an action waits for the one before it.")
    do: Verb
    number: int | None = Field(None, ge=1, description="Of the replica or Redis; None: the first, or all.")


class Done(Strict):
    """Something that was done to a deployment, or could not be."""

    do: Verb
    number: int | None = None
    asked_us: int = Field(description="When it was to be done.")
    begun_us: int = Field(description="When it was begun: later, if the one before it took longer.")
    done_us: int | None = Field(None, description="When it had come about; None: it failed.")
    reason: str = Field("", description="Why it failed, in a clause; empty otherwise.")
