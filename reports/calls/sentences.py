"""What is known of a variant's upstream calls per hour, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reports.summary.calls import CallsPerHour
from reports.summary.model import VariantSummary
from scenarios import topologies

# Standard errors from which on measured and computed calls do not agree: chance alone goes so far in one of
# 370.
_FURTHEST: Final = 3.0
COLD: Final = "cold start, not the long run"


def agree(hourly: CallsPerHour) -> bool | None:
    """Tell whether measured and computed calls agree; None where there is only one of them."""
    if hourly.basis == "measured" or hourly.measured is None:
        return None
    if hourly.z is not None:
        return abs(hourly.z) <= _FURTHEST
    low, high = hourly.measured.ci95
    return low <= hourly.value <= high


def of_variant(variant: VariantSummary) -> str:
    """Say what a variant's calls per hour are, what that rests on, and whether computed and measured "
    "agree."""
    hourly = variant.upstream_calls_per_hour
    if hourly is None:
        return f"{variant.id}: upstream calls per hour are not known. {_unknown(variant)}"
    said = f"{variant.id}: {number(hourly.value)} upstream calls an hour, {hourly.basis}"
    measured = hourly.measured
    if hourly.basis == "measured" or measured is None:
        return said + (f" ({_ends(hourly)})." if measured else f". {_unmeasured(variant)}")
    words = {True: "computed and measured agree", False: "computed and measured do not agree", None: ""}
    score = f", z = {hourly.z:+.1f}".replace("-", "−") if hourly.z is not None else ""
    return f"{said}; measured {number(measured.value)} ({_ends(hourly)}{score}): {words[agree(hourly)]}."


def of_all(variants: Sequence[VariantSummary]) -> str:
    """Say of all variants together whether computed and measured calls agree; empty where none has both."""
    both = {
        one.id: agree(one.upstream_calls_per_hour)
        for one in variants
        if one.upstream_calls_per_hour is not None
    }
    apart = [name for name, same in both.items() if same is False]
    known = [name for name, same in both.items() if same is not None]
    if not known:
        return ""
    if not apart:
        return "Computed and measured upstream calls agree."
    return (
        f"Computed and measured upstream calls do not agree for {', '.join(apart)}: the trials differ from "
        "the assumptions of the formulas. Do not rely on either before you know why."
    )


def start_of(variants: Sequence[VariantSummary]) -> str:
    """Explain how trials began; empty if they began as in the long run."""
    starts = {variant.start for variant in variants if topologies.of(variant.topology).cached}
    if "cold" in starts:
        return (
            f"The trials began with empty caches. They show the time after a deployment: a {COLD}. "
            "Nothing is extrapolated from them."
        )
    if "unknown" in starts:
        return (
            "The trials began with what the running services had cached, which may not represent "
            "the long run. Nothing is extrapolated."
        )
    return ""


def headline(a: VariantSummary, b: VariantSummary, names: tuple[str, str]) -> str:
    """Say the long run of two variants in a sentence; empty where it is not known."""
    known = [one.upstream_calls_per_hour for one in (a, b)]
    first, second = known
    cold = "cold" in (a.start, b.start) and any(topologies.of(one.topology).cached for one in (a, b))
    started = "The trials show a cold start, not the long run. " if cold else ""
    if first is None or second is None:
        return started.strip()
    bases = {one.basis for one in known if one is not None}
    how = f" ({bases.pop()})" if len(bases) == 1 else ""
    return (
        f"{started}In the long run there are {number(first.value)} upstream calls an hour with {names[0]}, "
        f"{number(second.value)} with {names[1]}{how}."
    )


def number(value: float) -> str:
    """Show a number of calls: whole, or with two figures where it is small."""
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def _ends(hourly: CallsPerHour) -> str:
    assert hourly.measured is not None, "asked only where it is measured"
    low, high = hourly.measured.ci95
    return f"{number(low)} to {number(high)}"


def _unmeasured(variant: VariantSummary) -> str:
    if variant.start == "cold":
        return f"Its trials show a {COLD}."
    if variant.start == "unknown":
        if not variant.counts_trials:
            return "It has no valid trial."
        return "The contents of its caches at the start are not known."
    return "It has no valid trial."


def _unknown(variant: VariantSummary) -> str:
    why = f"Nothing computes them: {variant.theory_silence}. " if variant.theory_silence else ""
    if variant.start == "cold":
        return f"{why}Its trials show a {COLD}: measure with schedule.start: steady."
    return f"{why}{_unmeasured(variant)}"
