"""A gate of validity: one condition, with its figure, its bound and what a failure means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scenarios.metrics import KINDS, Kind

WHY: Final = {
    "faults": "Where a part of the stack or the load generator was lost, something else was measured.",
    "possible outcomes": "A variant without a cache has no hits: then another cache than ours was used.",
    "counts: responses": "Load side and app count the same answers; where they differ, one is wrong.",
    "counts: upstream calls": "App and upstream count the same calls; where they differ, one is wrong.",
    "counts: responses and calls": "Each miss is one call; a request that failed may have made one or none.",
    "requests measured": "Without a request there is nothing to measure.",
    "generator's means": "Descriptors, ports and memory of the load generator are not the target's.",
    "errors": "Requests that fail have latencies of their own.",
    "Redis answered": "A trial whose app went past Redis does not measure where Redis stands.",
    "requests sent": "A generator that falls behind puts less load on the app than it says.",
    "generator CPU": "A generator without CPU time to spare measures itself.",
    "stolen CPU": "The hypervisor gave this time to others, and requests waited for it.",
    "CPU in use": "On a machine without CPU time to spare requests wait for a CPU.",
    "waiting for a CPU": "Other work on the machine delays requests; what the trial's own processes make one "
    "another wait is allowed for.",
    "generator throttled": "While a limit holds the generator back it can neither send nor see an answer.",
    "clock step": "Redis expires keys by the wall clock.",
    "throttled CPU": "A limit that the scenario does not set holds app or Redis back.",
    "RTT drift": "The link after the load has to be the link before it.",
    "rows": "Every request that was sent is stored.",
    "achieved rate": "Requests are sent when they are due, or the load is another one.",
    "time under way": "The generator's running count shows an error that all rows have in common.",
    "Little's law": "Requests under way are their rate times the time that each takes, unless they pile up.",
    "send lag, p99": "Latency is counted from the time a request was due, and so contains the lag.",
    "send lag beside the TTL": "A request sent late by a share of the TTL can be a miss instead of a hit.",
}

# The gates that protect one kind alone. A gate that is not listed protects both.
_PROTECTS: Final[dict[str, Kind]] = {
    "send lag beside the TTL": "counts",
    "errors": "times",
    "generator CPU": "times",
    "stolen CPU": "times",
    "CPU in use": "times",
    "waiting for a CPU": "times",
    "generator throttled": "times",
    "throttled CPU": "times",
    "RTT drift": "times",
    "achieved rate": "times",
    "time under way": "times",
    "Little's law": "times",
    "send lag, p99": "times",
}

_FREE_CPU: Final = "Stop other work on this machine, lower workload.rate, or use a machine with more CPUs."
# What the user can do about a gate that fails again and again.
REMEDIES: Final = {
    "faults": "Look into the trial's logs/ for why it failed.",
    "possible outcomes": "See that nothing else serves at the addresses of this run.",
    "counts: responses": "Make sure that nobody else uses the service, and that no replica restarts.",
    "counts: upstream calls": "Look into the trial's logs/ for a replica that restarted.",
    "counts: responses and calls": "Look into the trial's logs/ for a replica that restarted.",
    "requests measured": "Raise workload.rate or schedule.duration.",
    "generator's means": "Raise `ulimit -n` or lower workload.users; `sidecar-bench doctor` shows limits.",
    "errors": "Look into the trial's logs/ for what failed.",
    "Redis answered": "Look into the trial's logs/ for why Redis did not answer.",
    "requests sent": "Lower workload.rate, or raise workload.users.",
    "achieved rate": _FREE_CPU,
    "generator CPU": "Lower workload.rate, or spread the load over --workers.",
    "stolen CPU": "Use a machine whose CPUs are not shared, or try at a quieter time.",
    "CPU in use": _FREE_CPU,
    "waiting for a CPU": _FREE_CPU,
    "generator throttled": "Lift the CPU limit on sidecar-bench itself.",
    "throttled CPU": "Lift the CPU limit, or set resources.cpus so that it is part of what is measured.",
    "clock step": "Let the time service finish setting the clock.",
    "RTT drift": _FREE_CPU,
    "time under way": _FREE_CPU,
    "Little's law": "Lower workload.rate: requests come faster than they are answered.",
    "send lag, p99": _FREE_CPU,
    "send lag beside the TTL": _FREE_CPU,
}


@dataclass(frozen=True)
class Gate:
    """One condition of validity. `figure` and `bound` are for people; `reason` says what a failure means.

    A gate that is not applicable stops nothing; its figure says why it is not. `strain` is how much of
    its bound a figure takes up, 1 being all; None where figures are just equal or not. `kinds`: what it
    protects in this trial, where that differs from what it protects in others.
    """

    name: str
    figure: str
    bound: str
    passed: bool
    reason: str
    applicable: bool = True
    strain: float | None = None
    kinds: tuple[Kind, ...] | None = None

    @property
    def protects(self) -> tuple[Kind, ...]:
        """What cannot be believed where this gate fails: counts, times or both."""
        if self.kinds is not None:
            return self.kinds
        alone = _PROTECTS.get(self.name)
        return KINDS if alone is None else (alone,)

    def refuses(self, kind: Kind) -> bool:
        """Whether the gate failed and protects this kind."""
        return not self.passed and kind in self.protects

    @property
    def remedy(self) -> str:
        """What to do where it fails again and again, in a sentence; empty where nothing is known."""
        return REMEDIES.get(self.name, "")

    @property
    def why(self) -> str:
        """Why it matters, in a sentence."""
        return WHY[self.name]


def not_applicable(name: str, because: str) -> Gate:
    """Return a gate that stops nothing, because it cannot be judged."""
    said = f"not applicable, because {because}"
    return Gate(name, said, "none", True, said, applicable=False)
