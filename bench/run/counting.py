"""What everybody has counted of a trial, asked after its load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.run.faults import Course
from compose.stack import Deployment
from reports.trial.validity import implied_calls
from scenarios.facts import LoadFacts, UpstreamFacts, UsageFacts


def count(deployment: Deployment, before: Mapping[str, UsageFacts], course: Course) -> dict[str, Any]:
    """Ask all parties for their counts. Note those that do not answer, and ask the others."""
    # What starting took is none of the trial's.
    usage = [
        used.since(before[used.name]) if used.name in before else used
        for used in course.ask(deployment.usage) or ()
    ]
    link = deployment.link
    after = course.ask(deployment.measure_link) if link is not None else None
    if link is not None and after is not None:
        link = link.model_copy(update={"after_ms": after.achieved_ms})
    return {
        "usage": usage,
        "link": link,
        "app": course.ask(deployment.app_counts),
        "upstream": course.ask(lambda: _upstream(deployment, course.load)) or course.facts["upstream"],
    }


def _upstream(deployment: Deployment, load: LoadFacts) -> UpstreamFacts:
    counted = deployment.upstream_counts()
    if counted is not None:
        return counted
    calls, _ = implied_calls(load.outcomes)
    return UpstreamFacts(calls=calls, counted_by="headers" if load.outcomes_known else "unknown")
