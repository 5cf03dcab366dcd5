"""Gates on the environment of a trial: the machine, its CPUs and clock, CPU limits, and the link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reports.stored.records import TrialRecord
from reports.trial.gate import Gate, not_applicable
from scenarios.facts import LinkFacts, MachineFacts

STOLEN_RATIO: Final = 0.05
BUSY_RATIO: Final = 0.97
WAITING_MOST: Final = 0.5
WAITING_BESIDE_OWN: Final = 0.1
THROTTLED_RATIO: Final = 0.01
CLOCK_STEP_S: Final = 0.05
DRIFT_RATIO: Final = 0.25
DRIFT_MS: Final = 0.05
# PING over loopback repeats itself to 0.01 ms, whatever else runs.
DRIFT_LOCAL_MS: Final = 0.03
_LOCAL: Final = ("loopback", "unix")
# The gates that fail where processes did not get the CPU time that they wanted.
OF_THE_MACHINE: Final = (
    "stolen CPU", "CPU in use", "waiting for a CPU", "generator CPU", "generator throttled", "throttled CPU",
)  # fmt: skip


def of_machine(record: TrialRecord, *, limited: bool) -> Iterator[Gate]:
    """Judge what else happened on the machine; `limited`: the scenario limits the CPU time of tasks."""
    machine = record.machine
    yield Gate(
        "stolen CPU",
        f"{machine.stolen_ratio:.1%}",
        f"≤ {STOLEN_RATIO:.0%}",
        machine.stolen_ratio <= STOLEN_RATIO,
        f"the hypervisor took {machine.stolen_ratio:.1%} of the CPU time",
        strain=machine.stolen_ratio / STOLEN_RATIO,
    )
    yield Gate(
        "CPU in use",
        f"{machine.busy_ratio:.0%} of all CPUs",
        f"≤ {BUSY_RATIO:.0%}",
        machine.busy_ratio <= BUSY_RATIO,
        f"{machine.busy_ratio:.0%} of all CPU time was in use, so requests waited for a CPU",
        strain=machine.busy_ratio / BUSY_RATIO,
    )
    yield _waiting(record, limited=limited)
    yield _generator_throttled(machine)
    step_ms = machine.clock_step_s * 1000
    yield Gate(
        "clock step",
        f"{step_ms:+.1f} ms",
        f"≤ {CLOCK_STEP_S * 1000:.0f} ms",
        abs(machine.clock_step_s) <= CLOCK_STEP_S,
        f"the wall clock, by which Redis expires keys, was moved by {step_ms:+.0f} ms",
        strain=abs(machine.clock_step_s) / CLOCK_STEP_S,
    )


def _waiting(record: TrialRecord, *, limited: bool) -> Gate:
    """Judge the waiting for a CPU by what the trial's own processes make one another wait."""
    name, waiting = "waiting for a CPU", record.machine.waiting_ratio
    if waiting is None:
        return not_applicable(name, "it is not recorded (by this kernel, or by an older version)")
    if limited:  # a process that its limit holds back counts as one that waits
        return not_applicable(name, f"the scenario's CPU limit is part of the {waiting:.0%} of the time")
    bound = min(WAITING_MOST, waiting_of_its_own(record) + WAITING_BESIDE_OWN)
    return Gate(
        name,
        f"{waiting:.0%} of the time",
        f"≤ {bound:.0%}",
        waiting <= bound,
        f"processes waited for a CPU for {waiting:.0%} of the time ({bound:.0%} allowed): other work on the "
        "machine, or too much load",
        strain=waiting / bound,
    )


def waiting_of_its_own(record: TrialRecord) -> float:
    """Return the share of time in which a trial's own processes are expected to wait for one another.

    Processes that share a core, in use for a share ρ of the time: two or more of them can run at once for
    ρ² of it (M/M/1). Where their CPU time is not known, as with targets, no share is too large.
    """
    if not record.usage:
        return 1.0
    span_s = max(record.load.warmup_s + record.load.duration_s, 1e-9)
    used = sum(used.cpu_s for used in record.usage) / span_s + record.load.cpu_ratio
    return min(used, 1.0) ** 2


def _generator_throttled(machine: MachineFacts) -> Gate:
    """Judge whether the bench waited for a limit of its own to let it go on."""
    name, throttled = "generator throttled", machine.throttled_ratio
    if throttled is None:
        return not_applicable(name, "it is not recorded (by this kernel, or by an older version)")
    return Gate(
        name,
        f"{throttled:.1%}",
        f"≤ {THROTTLED_RATIO:.0%}",
        throttled <= THROTTLED_RATIO,
        f"a CPU limit stopped the bench and its load generator for {throttled:.0%} of the time",
        strain=throttled / THROTTLED_RATIO,
    )


def of_limits(record: TrialRecord, *, limited: bool) -> Gate:
    """Judge throttling where no limit was asked for; where one was, it is part of what is measured."""
    name = "throttled CPU"
    if not record.deployed:
        return not_applicable(name, "the CPU time of a target's processes is not visible from here")
    told = [used.throttled_s for used in record.usage if used.throttled_s is not None]
    if not told:
        return not_applicable(name, "the stack cannot read throttling")
    ratio = max(told) / max(record.load.warmup_s + record.load.duration_s, 1e-9)
    if limited:
        return not_applicable(
            name, f"the scenario sets the limit, which was active for {ratio:.1%} of the time"
        )
    return Gate(
        name,
        f"{ratio:.1%}",
        f"≤ {THROTTLED_RATIO:.0%}",
        ratio <= THROTTLED_RATIO,
        f"a CPU limit stopped a process for {ratio:.0%} of the time, although the scenario sets none",
        strain=ratio / THROTTLED_RATIO,
    )


def of_link(link: LinkFacts, after_ms: float) -> Gate:
    """Judge whether the link after the load is the link before it."""
    drift = after_ms - link.achieved_ms
    floor_ms = DRIFT_LOCAL_MS if link.means in _LOCAL else DRIFT_MS
    bound = max(floor_ms, DRIFT_RATIO * link.achieved_ms)
    return Gate(
        "RTT drift",
        f"{drift:+.3f} ms",
        f"≤ {bound:.3f} ms",
        abs(drift) <= bound,
        f"the link's round trip went from {link.achieved_ms:.3f} to {after_ms:.3f} ms during the trial",
        strain=abs(drift) / bound,
    )
