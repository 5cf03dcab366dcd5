"""A gate of validity: one condition, with its figure, its bound and the reason of a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scenarios.metrics import KINDS, Kind

WHY: Final = {
    "faults": "If a part of the stack or the load generator fails, the trial measures something else.",
    "possible outcomes": "For example, a variant without a cache has no hits: if there are any, another "
    "cache was used.",
    "counts: responses": "Load generator and app count the same answers. If the counts differ, one is wrong.",
    "counts: upstream calls": "App and upstream count the same calls. If the counts differ, one is wrong.",
    "counts: responses and calls": "Each miss is one call. A failed request may have made one or none.",
    "requests measured": "Without requests, there is nothing to measure.",
    "generator resources": "File descriptors, ports and memory of the load generator must not limit the "
    "load.",
    "errors": "Failed requests have different latencies.",
    "Redis answered": "If the app bypasses Redis, the trial does not measure the topology.",
    "requests sent": "A generator that falls behind sends less load than planned.",
    "generator CPU": "A saturated generator measures itself.",
    "stolen CPU": "The hypervisor gave this CPU time to others, and requests waited.",
    "CPU in use": "On a fully used machine, requests wait for a CPU.",
    "waiting for a CPU": "Other work on the machine delays requests. Waits that the trial's own processes "
    "cause each other are allowed.",
    "generator throttled": "While a CPU limit stops the generator, it can neither send requests nor "
    "receive answers.",
    "clock step": "Redis expires keys by the wall clock, so the clock must not be changed.",
    "throttled CPU": "A CPU limit that the scenario does not set slows down the app or Redis.",
    "RTT drift": "The link must be the same before and after the load.",
    "rows": "Every request that was sent must be stored.",
    "achieved rate": "Requests must be sent at their scheduled times; otherwise the load is different.",
    "time in flight": "The generator's running count reveals an error that all rows share.",
    "Little's law": "Requests in flight equal their rate times their service time, unless a queue builds up.",
    "send lag, p99": "Latency counts from the scheduled send time, so it includes the lag.",
    "send lag vs. TTL": "A late request can be a miss instead of a hit if the lag is a relevant share of "
    "the TTL.",
}

# Gates that protect only one kind. A gate that is not listed protects both.
_PROTECTS: Final[dict[str, Kind]] = {
    "send lag vs. TTL": "counts",
    "errors": "times",
    "generator CPU": "times",
    "stolen CPU": "times",
    "CPU in use": "times",
    "waiting for a CPU": "times",
    "generator throttled": "times",
    "throttled CPU": "times",
    "RTT drift": "times",
    "achieved rate": "times",
    "time in flight": "times",
    "Little's law": "times",
    "send lag, p99": "times",
}

_FREE_CPU: Final = "Stop other work on this machine, lower workload.rate, or use a machine with more CPUs."
# What to do if a gate fails repeatedly.
REMEDIES: Final = {
    "faults": "Check the trial's logs/ for the reason.",
    "possible outcomes": "Make sure that no other service uses the addresses of this run.",
    "counts: responses": "Make sure that nobody else uses the service and that no replica restarts.",
    "counts: upstream calls": "Check the trial's logs/ for a replica that restarted.",
    "counts: responses and calls": "Check the trial's logs/ for a replica that restarted.",
    "requests measured": "Raise workload.rate or schedule.duration.",
    "generator resources": "Raise `ulimit -n` or lower workload.users; `sidecar-bench doctor` shows limits.",
    "errors": "Check the trial's logs/ for the failures.",
    "Redis answered": "Check the trial's logs/ for why Redis did not answer.",
    "requests sent": "Lower workload.rate, or raise workload.users.",
    "achieved rate": _FREE_CPU,
    "generator CPU": "Lower workload.rate, or distribute the load with --workers.",
    "stolen CPU": "Use a machine with dedicated CPUs, or try again at a quieter time.",
    "CPU in use": _FREE_CPU,
    "waiting for a CPU": _FREE_CPU,
    "generator throttled": "Remove the CPU limit of sidecar-bench itself.",
    "throttled CPU": "Remove the CPU limit, or set resources.cpus so that it is part of the measurement.",
    "clock step": "Wait until the time service has set the clock.",
    "RTT drift": _FREE_CPU,
    "time in flight": _FREE_CPU,
    "Little's law": "Lower workload.rate: requests arrive faster than they are answered.",
    "send lag, p99": _FREE_CPU,
    "send lag vs. TTL": _FREE_CPU,
}


@dataclass(frozen=True)
class Gate:
    """One condition of validity. `figure` and `bound` are texts; `reason` explains a failure.

    A gate that is not applicable does not fail; its figure says why it is not applicable. `strain` is the
    figure's share of the bound (1: at the bound); None if the gate only tests for equality. `kinds`: what
    it protects in this trial, if that differs from the default.
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
        """What is invalid if this gate fails: counts, times or both."""
        if self.kinds is not None:
            return self.kinds
        alone = _PROTECTS.get(self.name)
        return KINDS if alone is None else (alone,)

    def refuses(self, kind: Kind) -> bool:
        """Whether the gate failed and protects this kind."""
        return not self.passed and kind in self.protects

    @property
    def remedy(self) -> str:
        """What to do if it fails repeatedly, in a sentence; empty if unknown."""
        return REMEDIES.get(self.name, "")

    @property
    def why(self) -> str:
        """Why it matters, in a sentence."""
        return WHY[self.name]


def not_applicable(name: str, because: str) -> Gate:
    """Return a gate that cannot be judged and therefore does not fail."""
    said = f"not applicable, because {because}"
    return Gate(name, said, "none", True, said, applicable=False)
