"""Upstream calls per hour as `summary.json` has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reports.summary.part import Interval, Part


class MeasuredCalls(Part):
    """Upstream calls per hour as trials with a steady start counted them."""

    value: float
    ci95: Interval = Field(description="95% interval; docs/statistics.md tells how it is made.")
    ci95_from: Literal["blocks", "counts"] = Field(
        description="blocks: Student's interval over blocks. counts: a Poisson count's, as so few calls were "
        "counted, or in one block."
    )


class CallsPerHour(Part):
    """Upstream calls per hour in the long run, at the workload's own rate."""

    value: float
    basis: Literal["computed", "measured"] = Field(
        description="computed: by a formula, or a simulation of the traffic. measured: by trials that began "
        "with the caches of a long-running service; nothing is extrapolated from a cold start."
    )
    measured: MeasuredCalls | None = Field(
        description="Null where trials began cold, or with caches of which nothing is known."
    )
    z: float | None = Field(
        description="Measured less computed, in standard errors; null where one of them is not known."
    )
