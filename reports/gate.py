"""A gate of validity: one condition, with its figure, its bound and what a failure means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WHY: Final = {
    "books: responses": "Load side and app count the same answers; where they differ, one is wrong.",
    "books: upstream calls": "App and upstream count the same calls; where they differ, one is wrong.",
    "books: responses and calls": "Each miss is one call; a request that failed may have made one or none.",
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
}


@dataclass(frozen=True)
class Gate:
    """One condition of validity. `figure` and `bound` are for people; `reason` says what a failure means.

    A gate that is not applicable stops nothing; its figure says why it is not. `strain` is how much of
    its bound a figure takes up, 1 being all; None where figures are just equal or not.
    """

    name: str
    figure: str
    bound: str
    passed: bool
    reason: str
    applicable: bool = True
    strain: float | None = None

    @property
    def why(self) -> str:
        """Why it matters, in a sentence."""
        return WHY[self.name]


def not_applicable(name: str, because: str) -> Gate:
    """Return a gate that stops nothing, because it cannot be judged."""
    said = f"not applicable, because {because}"
    return Gate(name, said, "none", True, said, applicable=False)
