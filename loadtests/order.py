"""What a load generator is told to do in one trial."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from scenarios.model import Strict, Workload


class Sending(Strict):
    """One trial's load: where to, what, and for how long."""

    targets: tuple[str, ...] = Field(min_length=1, description="Base URLs of the replicas.")
    workload: Workload
    seed: int
    warmup_s: float = Field(ge=0)
    duration_s: float = Field(gt=0)
    timeout_s: float = Field(gt=0)


class Order(Sending):
    """One trial's load, and where its rows belong."""

    rows: Path


class Part(Sending):
    """One worker's part in a trial's load: every `workers`-th request, from number `worker` on."""

    worker: int = Field(ge=0)
    workers: int = Field(ge=1)
