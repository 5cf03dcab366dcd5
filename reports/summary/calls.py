"""Upstream calls per hour as `summary.json` has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reports.summary.part import Interval, Part


class MeasuredCalls(Part):
    """Upstream calls per hour as trials with a steady start counted them."""

    value: float
    ci95: Interval = Field(description="95% interval; docs/statistics.md explains how it is computed.")
    ci95_from: Literal["blocks", "counts"] = Field(
        description="blocks: Student's interval over blocks. counts: that of a Poisson count, because few "
        "calls were counted, or only in one block."
    )


class CallsPerHour(Part):
    """Upstream calls per hour in the long run, at the workload's own rate."""

    value: float
    basis: Literal["computed", "measured"] = Field(
        description="computed: by a formula, or a simulation of the traffic. measured: in trials that began "
        "with the caches of a long-running service. Cold starts are not extrapolated."
    )
    measured: MeasuredCalls | None = Field(description="Null if trials began cold, or with unknown caches.")
    z: float | None = Field(
        description="Measured minus computed, in standard errors; null if one of them is not known."
    )
