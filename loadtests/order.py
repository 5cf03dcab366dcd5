"""What a load generator is told to do in one trial."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from scenarios.model import Strict, Workload


class Order(Strict):
    """One trial's load: where to, what, for how long, and where its rows belong."""

    targets: tuple[str, ...] = Field(min_length=1, description="Base URLs of the replicas.")
    workload: Workload
    seed: int
    warmup_s: float = Field(ge=0)
    duration_s: float = Field(gt=0)
    timeout_s: float = Field(gt=0)
    rows: Path
