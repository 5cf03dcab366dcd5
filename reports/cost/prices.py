"""What Fargate and the traffic between zones cost, as a file states it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reports.errors import ResultsError

DEFAULT: Final = Path(__file__).with_name("prices.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Sourced(_Strict):
    as_of: date | None = Field(description="The date that the source bears; None: it bears none.")
    source: str = Field(min_length=1, description="Where it was stated.")


class Compute(_Sourced):
    """Fargate on one architecture."""

    vcpu_hour: float = Field(ge=0)
    gb_hour: float = Field(ge=0)


class BetweenZones(_Sourced):
    """Traffic between availability zones: charged where it leaves and where it arrives."""

    gb_each_direction: float = Field(ge=0)


class Prices(_Strict):
    """All prices, in one currency and for one region."""

    currency: str = Field(min_length=1)
    region: str = Field(min_length=1)
    hours_per_month: float = Field(gt=0, le=744)
    x86: Compute
    arm: Compute
    between_zones: BetweenZones


def read_prices(path: Path = DEFAULT) -> Prices:
    """Read a file of prices.

    Raises:
        ResultsError: the file cannot be read, or a field is wrong; the message names both.
    """
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ResultsError(f"{path}: prices cannot be read: {error}") from error
    try:
        return Prices.model_validate(written)
    except ValidationError as error:
        problems = [
            f"{path}: {'.'.join(str(part) for part in detail['loc']) or 'the file'}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        ]
        raise ResultsError("\n".join(problems)) from error
