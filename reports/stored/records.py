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

from pydantic import Field, model_validator

from scenarios.contract import OURS, Contract
from scenarios.facts import (
    AppFacts,
    FillingFacts,
    LinkFacts,
    LoadFacts,
    MachineFacts,
    Record,
    UpstreamFacts,
    UsageFacts,
)
from scenarios.model import Scenario, Variant
from scenarios.timeline import Done

SCHEMA: Final = 1
# Names become parts of paths: of folders, and of cgroups.
NAME: Final = r"^[A-Za-z0-9][^/\x00-\x1f]*$"


class TargetsChoice(Record):
    """The running services that were loaded, and what the user stated about them."""

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
        "refused: one trial after another was invalid, for the same reason."
    )
    reason: str = Field("", description="That reason, and what to do about it; empty otherwise.")


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
    usage: list[UsageFacts] = Field([], description="By each process or container of the stack.")
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
