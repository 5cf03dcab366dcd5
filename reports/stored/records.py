"""What a stored run consists of: the facts that `bench` writes once and everything else reads.

    results/RUN/run.json                     RunRecord
    results/RUN/trials/TRIAL/trial.json      TrialRecord, written last: a folder without it is no trial
    results/RUN/trials/TRIAL/requests.parquet  one row a request (see docs/results.md)
    results/RUN/trials/TRIAL/logs/           what each process of the stack said
    results/RUN/resume-1.json                Resume, when and where a later session went on; -2, …
    results/RUN/end.json                     RunEnd, once the run has ended
    results/RUN/events.jsonl                 what was told meanwhile (bench.events); no report needs it

Facts only: whether a trial is valid, and every statistic, is worked out from them again each time.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scenarios.contract import OURS, Contract
from scenarios.model import Scenario, Variant
from scenarios.timeline import Done

SCHEMA: Final = 1
UNKNOWN_RATIO: Final = 0.001
# Names become parts of paths: of folders, and of cgroups.
NAME: Final = r"^[A-Za-z0-9][^/\x00-\x1f]*$"


class Record(BaseModel):
    """A frozen part of a stored run. Unknown fields are let through: newer runs stay readable."""

    model_config = ConfigDict(frozen=True)


class TargetsChoice(Record):
    """Which services that were running already were loaded, and what the user said of them."""

    urls: dict[str, list[str]] = Field(description="By variant: the base URLs of its replicas.")
    owned: bool = Field(description="The user said that targets on other machines may be loaded.")
    rate_cap: float = Field(description="Requests per second allowed for those.")
    duration_cap_s: float = Field(description="Length of a trial allowed for those, warm-up included.")
    contract: Contract = Field(OURS, description="How the services were called, and their answers read.")
    header_names: list[str] = Field(
        [], description="Headers that went with each request; their values are not stored."
    )
    count_url: str | None = Field(None, description="Where the upstream's own count of calls was read.")


class StackChoice(Record):
    """Which stack deployed the variants, and why that one."""

    name: str = Field(description="docker, processes, or targets: nothing was deployed.")
    reason: str
    targets: TargetsChoice | None = None


class RunRecord(Record):
    """A run as a whole; written when it begins."""

    schema_version: int = SCHEMA
    run_id: str = Field(pattern=NAME)
    scenario: Scenario
    command: list[str] = Field(description="The command that repeats this run.")
    started: str = Field(description="UTC, ISO 8601.")
    stack: StackChoice
    environment: dict[str, Any] = Field(
        description="Machine and versions, as `sidecar-bench doctor` sees them."
    )

    @model_validator(mode="before")
    @classmethod
    def _was_cold_before_there_was_a_choice(cls, stored: Any) -> Any:
        """Read runs of versions without `schedule.start` as what they were: cold."""
        match stored:
            case {"scenario": {"schedule": dict() as schedule} as scenario} if "start" not in schedule:
                return {**stored, "scenario": {**scenario, "schedule": {**schedule, "start": "cold"}}}
        return stored


class Resume(Record):
    """A later session of a run that was interrupted; each has a file of its own."""

    started: str = Field(description="UTC, ISO 8601.")
    command: list[str]
    environment: dict[str, Any] = Field(
        description="As in `run.json`: machine and versions, of this session."
    )


class RunEnd(Record):
    """What ended a run; a run that was interrupted has none."""

    why: Literal["plan", "budget", "refused"] = Field(
        description="plan: everything was decided, or all blocks were done. budget: the time was spent. "
        "refused: trial after trial could not be believed, for the same reason."
    )
    reason: str = Field("", description="That reason, and what to do about it; empty otherwise.")


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

    @property
    def outcomes_known(self) -> bool:
        """Whether practically all answers said whether they were hits: all but one in 1,000."""
        return self.outcomes.get("unknown", 0) <= UNKNOWN_RATIO * self.requests


class AppFacts(Record):
    """What the replicas' metrics counted through the trial, added up."""

    outcomes: dict[str, int] = Field(description="Requests by outcome, in the load side's words.")
    upstream_calls: int
    redis_errors: int = 0


class UpstreamFacts(Record):
    """What the upstream counted itself: the truth about upstream calls. With targets, the next best."""

    calls: int
    by_status: dict[str, int]
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
        "(/proc/pressure/cpu, `some`); None where the kernel does not tell.",
    )
    throttled_ratio: float | None = Field(
        None,
        description="Share of the time in which a CPU limit held the bench and its load generator back; None "
        "where the kernel does not tell.",
    )


class UsageFacts(Record):
    """What one process or container of the stack used while the load ran."""

    name: str = Field(description="app-1, redis-1, redis, upstream, link, …")
    cpu_s: float
    memory_bytes: int = Field(description="The most that was seen.")
    throttled_s: float | None = None
    evicted_keys: int | None = Field(
        None, description="Copies that a Redis evicted for want of memory; None where it could not be asked."
    )


class FillingFacts(Record):
    """How the caches were filled before a trial with a steady start; none of it is in any other count."""

    wanted: int = Field(description="Entries that the caches were to hold, over all caches.")
    filled: int = Field(description="Entries that they held when the load started.")
    failed: dict[str, int] = Field({}, description="Entries that could not be filled, by reason.")
    calls: int = Field(description="Upstream calls that the filling took.")
    seconds: float = Field(description="Time that it took, before the load started.")
    off_ms: float = Field(
        0.0, description="Furthest that a cache's lifetimes started from the load's own start; signed."
    )


class Fault(Record):
    """What went wrong in a trial that could not be counted, or in which a part of the stack was lost."""

    stage: str = Field(description="When it was noticed: deploying, filling, loading, counting or removing.")
    reason: str = Field(description="What failed and how, in a sentence.")
    last_words: dict[str, str] = Field({}, description="The ends of the logs of what failed, by its name.")


class TrialRecord(Record):
    """One trial; written when it has ended."""

    id: str = Field(pattern=NAME)
    variant: str
    block: int
    attempt: int = Field(1, ge=1)
    seed: int
    settings: Variant | None = Field(None, description="What was tried, if it is no variant of the scenario.")
    started: str = Field(description="UTC, ISO 8601.")
    start: Literal["steady", "cold", "unknown"] = Field(
        "cold",
        description="What the caches held when the load began. steady: what a long-running service has "
        "cached. cold: nothing. unknown: running services had what they had.",
    )
    filling: FillingFacts | None = Field(None, description="None where nothing was filled.")
    up_s: float = Field(description="From the order to deploy until every replica was ready.")
    down_s: float
    redis_server: str | None = Field(None, description="Name, version and origin of what cached; or None.")
    link: LinkFacts | None = Field(description="None in the topology without a cache, and with targets.")
    load: LoadFacts
    app: AppFacts | None = Field(description="None where a target's metrics could not be read.")
    upstream: UpstreamFacts
    machine: MachineFacts
    usage: list[UsageFacts] = []
    timeline: list[Done] = Field([], description="What was done to the deployment under load, in order.")
    fault: Fault | None = Field(None, description="What went wrong; such a trial is invalid.")
    notes: list[str] = Field([], description="What the stack could not do as asked, in sentences.")

    @property
    def deployed(self) -> bool:
        """Whether the bench deployed what was loaded, fresh and with a stub upstream; not so with targets."""
        return self.upstream.counted_by in ("upstream", "nobody")

    @property
    def evicted_keys(self) -> int | None:
        """Copies that all Redis servers evicted; None where not all of them could be asked."""
        each = [used.evicted_keys for used in self.usage if used.name.startswith("redis")]
        return sum(known) if each and len(known := [n for n in each if n is not None]) == len(each) else None
