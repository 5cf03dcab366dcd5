"""What everybody has counted of a trial, asked after its load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bench.run.faults import Course
from compose.stack import Deployment, Usage
from reports.stored.records import AppFacts, LinkFacts, LoadFacts, UpstreamFacts, UsageFacts
from reports.trial.validity import implied_calls


def count(deployment: Deployment, before: Mapping[str, Usage], course: Course) -> dict[str, Any]:
    """Ask everybody for their counts; whoever does not answer is noted, and the others are asked."""
    usage = [_used(before.get(used.name), used) for used in course.ask(deployment.usage) or ()]
    link = deployment.link
    after = course.ask(deployment.measure_link) if link is not None else None
    after_ms = after.achieved_ms if after is not None else None
    app = course.ask(deployment.app_counts)
    return {
        "usage": usage,
        "link": LinkFacts(**asdict(link) | {"after_ms": after_ms}) if link is not None else None,
        "app": AppFacts(**asdict(app)) if app is not None else None,
        "upstream": course.ask(lambda: _upstream(deployment, course.load)) or course.facts["upstream"],
    }


def _used(before: Usage | None, after: Usage) -> UsageFacts:
    """Return what was used since the load began: what starting took is none of the trial's."""
    if before is None:
        return UsageFacts(**asdict(after))
    throttled_s = None if after.throttled_s is None else after.throttled_s - (before.throttled_s or 0.0)
    evicted = None if after.evicted_keys is None else after.evicted_keys - (before.evicted_keys or 0)
    since = {"cpu_s": after.cpu_s - before.cpu_s, "throttled_s": throttled_s, "evicted_keys": evicted}
    return UsageFacts(**asdict(after) | since)


def _upstream(deployment: Deployment, load: LoadFacts) -> UpstreamFacts:
    counted = deployment.upstream_counts()
    if counted is not None:
        return UpstreamFacts(**asdict(counted))
    calls, _ = implied_calls(load.outcomes)
    return UpstreamFacts(
        calls=calls, by_status={}, counted_by="headers" if load.outcomes_known else "unknown"
    )
