"""Upstream calls per hour of one variant: computed, measured, and how far the two lie apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reports import theory
from reports.calls import counting
from reports.calls.longrun import LongRun
from reports.summary.calls import CallsPerHour, MeasuredCalls
from reports.trial.measures import Measures
from scenarios.model import Variant


def of_variant(variant: Variant, trials: Sequence[Measures], computed: LongRun | None) -> CallsPerHour | None:
    """Return the calls per hour at the workload's rate; None where they are not known.

    Measured they are from trials with a steady start alone, and without a cache from any: what a cold start
    shows is no hour of a long-running service, nor is what running services had in their caches by chance.
    """
    measured = _measured(variant, trials, computed)
    if computed is None:
        if measured is None:
            return None
        return CallsPerHour(value=measured.value, basis="measured", measured=measured, z=None)
    z = _score(variant, trials, measured, computed)
    return CallsPerHour(value=computed.calls_per_hour, basis="computed", measured=measured, z=z)


def stationary(variant: Variant, trials: Sequence[Measures]) -> bool:
    """Tell whether trials show the long run: those with a steady start do, without a cache all do."""
    started = {trial.record.start for trial in trials}
    return bool(trials) and (started == {"steady"} or not variant.layout.cached)


def hours(variant: Variant, trial: Measures) -> float:
    """Return the measured time of a trial in hours of the workload's own time."""
    return trial.record.load.duration_s * variant.workload.speedup / 3600


def _measured(variant: Variant, trials: Sequence[Measures], computed: LongRun | None) -> MeasuredCalls | None:
    if not stationary(variant, trials):
        return None
    found = counting.per_hour(
        [trial.upstream_calls for trial in trials],
        [hours(variant, trial) for trial in trials],
        # Requests that do not join calls make several at once.
        regular=computed is not None and variant.cache.single_flight,
    )
    return MeasuredCalls(value=found.value, ci95=found.ci95, ci95_from=found.source) if found else None


def _score(
    variant: Variant, trials: Sequence[Measures], measured: MeasuredCalls | None, computed: LongRun
) -> float | None:
    """Return measured less computed calls, in the standard errors that theory expects of all trials."""
    evicted = any(trial.record.evicted_keys for trial in trials)
    if measured is None or computed.means != "formula" or evicted:
        return None
    errors = [_error(variant, trial) for trial in trials]
    known = [error for error in errors if error is not None]
    if not known or len(known) < len(errors):
        return None
    exposed = sum(hours(variant, trial) for trial in trials)
    error = math.sqrt(sum(error**2 for error in known)) / exposed
    return (measured.value - computed.calls_per_hour) / error if error > 0 else None


def _error(variant: Variant, trial: Measures) -> float | None:
    load = trial.record.load
    window = (load.warmup_s, load.warmup_s + load.duration_s)
    expected = theory.of_variant(variant, window, trial.fill_s, trial.joined, "steady")
    return expected.calls_error if expected is not None else None
