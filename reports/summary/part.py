"""What every part of `summary.json` is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]


class Part(BaseModel):
    """A frozen part of the summary."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
