"""What is counted and measured of one trial, as reported and stored.

Stacks, load generators and the bench make these facts, `reports` reads them. They stand at the bottom so that
there is one model for each.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

UNKNOWN_RATIO: Final = 0.001


class Record(BaseModel):
    """A frozen part of a stored run. It refuses fields that it does not know: a newer version wrote them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LinkFacts(Record):
    """The way from app to Redis, measured by PING from where the app stands, before and after the load."""

    means: str = Field(description="loopback, unix, relay, netem or network.")
    configured_ms: float | None = None
    achieved_ms: float = Field(description="Median round-trip time before the load.")
    achieved_p99_ms: float
    after_ms: float | None = Field(None, description="Median round-trip time after the load.")
    floor_ms: float | None = Field(
        None, description="The least that these means can reach, where they have a floor."
    )
    samples: int

    @property
    def during_ms(self) -> float:
        """The round trip while the load ran: the mean of those before and after it, where both are known.

        Alone, the one before is a little too long: it is measured while the deployment is still cold.
        """
        return self.achieved_ms if self.after_ms is None else (self.achieved_ms + self.after_ms) / 2


class FailedPath(Record):
    """Requests for one path that failed alike."""

    path: str
    status: int = Field(description="What was answered; 0: nothing.")
    requests: int


class LoadFacts(Record):
    """What the load side saw of the whole trial, warm-up included."""

    offered: int = Field(description="Requests that the arrival process called for.")
    requests: int = Field(description="Requests sent.")
    outcomes: dict[str, int] = Field(description="Requests by outcome: hit, miss, delayed, bypass, error, …")
    warmup_s: float
    duration_s: float = Field(
        description="Time measured, after the warm-up; the log's own where that is shorter."
    )
    most_users: int = Field(description="The most requests under way at once.")
    cpu_ratio: float = Field(description="CPU time of the generator over wall time, while it sent.")
    under_way: float | None = Field(
        None,
        description="Requests under way at once, from send to answer, on average over the measured time: by "
        "the generator's running count, not by its rows.",
    )
    unsent: int = Field(
        0,
        description="Requests that were still waiting to be sent when the trial ended, some seconds after "
        "the last one was due: the load was above what users or target could bear.",
    )
    failures: dict[str, int] = Field(
        {},
        description="Failed requests by the status that came, or by a reason such as `connection refused`.",
    )
    statuses: dict[str, int] = Field({}, description="Answers by status, failed ones among them.")
    told_by: dict[str, int] = Field(
        {},
        description="Answers that count, by the response header that told their outcome; the empty name: "
        "none.",
    )
    unreadable: int = Field(0, description="Answers whose Cache-Status could not be read.")
    expected_errors: int = Field(
        0,
        description="Failed requests that had to fail: the app refuses their path by rule, or the log tells "
        "of that error for it.",
    )
    failed_paths: list[FailedPath] = Field([], description="Of the others: the paths that failed most often.")
    dropped: int = Field(
        0, description="Messages that reached the master of several workers and could not be read."
    )

    workers: int = Field(1, ge=1, description="Processes that sent the load.")
    start_skew_ms: float | None = Field(
        None,
        description="The most by which the starts of several workers' schedules can have differed; None with "
        "one process.",
    )

    @property
    def outcomes_known(self) -> bool:
        """Whether practically all answers said whether they were hits: all but one in 1,000."""
        return self.outcomes.get("unknown", 0) <= UNKNOWN_RATIO * self.requests


class AppFacts(Record):
    """What the replicas' metrics counted through the trial, added up."""

    outcomes: dict[str, int] = Field({}, description="Requests by outcome, in the load side's words.")
    upstream_calls: int = 0
    redis_errors: int = 0

    def __add__(self, other: AppFacts) -> AppFacts:
        """Return what both have counted together."""
        return AppFacts(
            outcomes=dict(Counter(self.outcomes) + Counter(other.outcomes)),
            upstream_calls=self.upstream_calls + other.upstream_calls,
            redis_errors=self.redis_errors + other.redis_errors,
        )


class UpstreamFacts(Record):
    """What the upstream counted itself: the truth about upstream calls. With targets, the next best."""

    calls: int
    by_status: dict[str, int] = {}
    counted_by: Literal["upstream", "app", "headers", "url", "unknown", "nobody"] = Field(
        "upstream",
        description="app: a target's own metrics. headers: one call for each miss and bypass that was seen. "
        "url: the upstream's own count at a URL that the user named. unknown: `calls` are those that were "
        "seen, and some answers did not say whether they took one. nobody: the stub upstream could not be "
        "asked.",
    )

    @property
    def known(self) -> bool:
        """Whether `calls` is a count of all calls, by whomever."""
        return self.counted_by not in ("unknown", "nobody")


class MachineFacts(Record):
    """The machine while the load ran, after the warm-up."""

    stolen_ratio: float = Field(description="CPU time taken by the hypervisor over all CPU time.")
    busy_ratio: float = Field(description="CPU time in use over all CPU time.")
    load_average: float
    clock_step_s: float = Field(
        description="The furthest that the wall clock was moved against the monotonic one; looked at twice a "
        "second."
    )
    waiting_ratio: float | None = Field(
        None,
        description="Share of the time in which something that could run waited for a CPU "
        "(/proc/pressure/cpu, `some`); None if the kernel does not report it.",
    )
    throttled_ratio: float | None = Field(
        None,
        description="Share of the time in which a CPU limit held the bench and its load generator back; None "
        "where the kernel does not tell.",
    )


class UsageFacts(Record):
    """What one process or container of the stack used while the load ran."""

    name: str = Field(description="app-1, redis-1, redis, upstream, link, …")
    cpu_s: float = 0.0
    memory_bytes: int = Field(0, description="The most that was seen.")
    throttled_s: float | None = None
    evicted_keys: int | None = Field(
        None, description="Copies that a Redis evicted for want of memory; None where it could not be asked."
    )

    def since(self, before: UsageFacts) -> UsageFacts:
        """Return what was used after an earlier reading; the memory is the later one's."""
        throttled_s = None if self.throttled_s is None else self.throttled_s - (before.throttled_s or 0.0)
        evicted = None if self.evicted_keys is None else self.evicted_keys - (before.evicted_keys or 0)
        return self.model_copy(
            update={
                "cpu_s": self.cpu_s - before.cpu_s,
                "throttled_s": throttled_s,
                "evicted_keys": evicted,
            }
        )


class FillingFacts(Record):
    """How the caches were filled before a trial with a steady start; none of it is in any other count."""

    wanted: int = Field(0, description="Entries that the caches were to hold, over all caches.")
    filled: int = Field(0, description="Entries that they held when the load started.")
    failed: dict[str, int] = Field({}, description="Entries that could not be filled, by reason.")
    calls: int = Field(0, description="Upstream calls that the filling took.")
    seconds: float = Field(0.0, description="Time that it took, before the load started.")
    off_ms: float = Field(
        0.0, description="Furthest that a cache's lifetimes started from the load's own start; signed."
    )
