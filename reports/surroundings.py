"""Gates on what surrounds a trial: the machine, its CPUs and clock, limits on them, and the link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reports.gate import Gate, not_applicable
from reports.records import LinkFacts, MachineFacts, TrialRecord

STOLEN_RATIO: Final = 0.05
BUSY_RATIO: Final = 0.97
WAITING_RATIO: Final = 0.5
THROTTLED_RATIO: Final = 0.01
CLOCK_STEP_S: Final = 0.05
DRIFT_RATIO: Final = 0.25
DRIFT_MS: Final = 0.05


def of_machine(machine: MachineFacts) -> Iterator[Gate]:
    """Judge what else happened on the machine."""
    yield Gate(
        "stolen CPU",
        f"{machine.stolen_ratio:.1%}",
        f"≤ {STOLEN_RATIO:.0%}",
        machine.stolen_ratio <= STOLEN_RATIO,
        f"the hypervisor took {machine.stolen_ratio:.1%} of the CPU time",
    )
    yield Gate(
        "CPU in use",
        f"{machine.busy_ratio:.0%} of all CPUs",
        f"≤ {BUSY_RATIO:.0%}",
        machine.busy_ratio <= BUSY_RATIO,
        f"{machine.busy_ratio:.0%} of all CPU time was in use, so requests waited for a CPU",
    )
    yield from _waiting(machine)
    step_ms = machine.clock_step_s * 1000
    yield Gate(
        "clock step",
        f"{step_ms:+.1f} ms",
        f"≤ {CLOCK_STEP_S * 1000:.0f} ms",
        abs(machine.clock_step_s) <= CLOCK_STEP_S,
        f"the wall clock, by which Redis expires keys, was moved by {step_ms:+.0f} ms",
    )


def _waiting(machine: MachineFacts) -> Iterator[Gate]:
    """Judge how long anything waited for a CPU, and the bench for its own limit to let it go on."""
    if (waiting := machine.waiting_ratio) is None:
        yield not_applicable("waiting for a CPU", "the kernel does not tell (no /proc/pressure/cpu)")
    else:
        yield Gate(
            "waiting for a CPU",
            f"{waiting:.0%} of the time",
            f"≤ {WAITING_RATIO:.0%}",
            waiting <= WAITING_RATIO,
            f"for {waiting:.0%} of the time something waited for a CPU: too much load, or other work",
        )
    if (throttled := machine.throttled_ratio) is None:
        yield not_applicable("generator throttled", "the bench's cgroup could not be read")
    else:
        yield Gate(
            "generator throttled",
            f"{throttled:.1%}",
            f"≤ {THROTTLED_RATIO:.0%}",
            throttled <= THROTTLED_RATIO,
            f"a CPU limit held the bench and its load generator back for {throttled:.0%} of the time",
        )


def of_limits(record: TrialRecord, *, limited: bool) -> Gate:
    """Judge throttling where no limit was asked for; where one was, it is part of what is measured."""
    name = "throttled CPU"
    if not record.deployed:
        return not_applicable(name, "what a target's processes use is not seen from here")
    told = [used.throttled_s for used in record.usage if used.throttled_s is not None]
    if not told:
        return not_applicable(name, "local processes have no limit of their own that could be read")
    ratio = max(told) / max(record.load.warmup_s + record.load.duration_s, 1e-9)
    if limited:
        return not_applicable(name, f"the scenario sets the limit, which took {ratio:.1%} of the time")
    return Gate(
        name,
        f"{ratio:.1%}",
        f"≤ {THROTTLED_RATIO:.0%}",
        ratio <= THROTTLED_RATIO,
        f"a process was held back by a CPU limit for {ratio:.0%} of the time, though the scenario sets none",
    )


def of_link(link: LinkFacts, after_ms: float) -> Gate:
    """Judge whether the link after the load is the link before it."""
    drift = after_ms - link.achieved_ms
    bound = max(DRIFT_MS, DRIFT_RATIO * link.achieved_ms)
    return Gate(
        "RTT drift",
        f"{drift:+.3f} ms",
        f"≤ {bound:.3f} ms",
        abs(drift) <= bound,
        f"the link's round trip went from {link.achieved_ms:.3f} to {after_ms:.3f} ms during the trial",
    )
