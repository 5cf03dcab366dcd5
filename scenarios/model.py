"""What a scenario says, once it is read: the run's own settings, and the variants it compares.

Each field of a `Variant` may be a list in the scenario's file; the matrix of all lists is what
is compared. `scenarios.reading` reads files into these models, `scenarios.plan` orders them.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from scenarios import topologies
from scenarios.schedule import Margin, Precision, Schedule
from scenarios.strict import Strict
from scenarios.thresholds import Thresholds
from scenarios.topologies import Topology, TopologyName
from scenarios.units import Bytes, Milliseconds, Seconds, Share


def _as_written(name: object) -> object:
    """Refuse what YAML has made a number or a truth of: the file may be named otherwise."""
    if isinstance(name, bool | int | float | date):
        raise ValueError("quote a file name that YAML reads as another type, such as '20250314'")  # noqa: TRY004
    return name


FileName = Annotated[Path, BeforeValidator(_as_written)]
CaseName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=30)]


class Keys(Strict):
    """Which paths are asked for, and how unevenly; not used where a log gives the requests."""

    distribution: Literal["zipf", "uniform"] = "zipf"
    count: int = Field(500, ge=1, le=10_000_000, description="Number of different paths.")
    exponent: float = Field(
        1.0, ge=0, le=5, description="Skew of the Zipf distribution: key i has weight 1/i^exponent."
    )
    file: Path | None = Field(
        None,
        description="A file with the service's own paths, one per line, the most requested first; `count` of "
        "them are used. None: paths are invented.",
    )


class Workload(Strict):
    """The requests: how often, when, and for which paths."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    rate: float = Field(200.0, gt=0, le=100_000, description="Requests per second, over all replicas.")
    arrivals: Literal["poisson", "constant", "log"] = Field(
        "poisson", description="When requests are sent; `log`: with the timing of the access log."
    )
    keys: Keys = Keys()
    log: FileName | None = Field(
        None,
        description="An access log to take requests from: a file, a pattern such as access.log*, or - for "
        "standard input. Common or Combined Log Format, plain or compressed.",
    )
    speedup: float = Field(
        1.0, gt=0, description="Factor by which a log is replayed faster than its own timing."
    )
    from_: Seconds = Field(
        0.0,
        alias="from",
        ge=0,
        description="Where in the log a trial begins: seconds, or a duration such as 3h, from its first "
        "request, in the log's own time.",
    )
    users: int = Field(256, ge=1, le=5000, description="Maximum number of requests in flight.")

    @model_validator(mode="after")
    def _log_goes_with_its_times(self) -> Workload:
        if self.arrivals == "log" and self.log is None:
            raise ValueError(
                "`arrivals: log` needs an access log: name it with workload.log (on the command line: "
                "--set workload.log=access.log)"
            )
        if self.from_ and self.log is None:
            raise ValueError(
                "`from` sets where in a log a trial begins, but there is no log: name it with `log`"
            )
        if self.speedup != 1.0 and self.arrivals != "log":
            raise ValueError("`speedup` needs `arrivals: log`; other arrivals use `rate`")
        return self


class Cache(Strict):
    """How the app caches."""

    ttl: Seconds = Field(60.0, gt=0, description="How long a response stays in Redis.")
    maxmemory: Bytes = Field(
        64_000_000,
        ge=1_000_000,
        description="Memory of all Redis servers together; sidecars get equal shares of it.",
    )
    sidecar_transport: Literal["loopback", "unix"] = Field(
        "loopback", description="How the app reaches a sidecar: TCP on localhost, or a Unix socket."
    )
    ttl_jitter: Share = Field(
        0.0, ge=0, lt=1, description="Share of itself by which each TTL is lengthened or shortened at random."
    )
    single_flight: bool = Field(
        True, description="Requests for what a replica is already fetching wait for that call."
    )
    lease: bool = Field(
        False, description="Replicas on the same Redis share calls: only one of them fetches."
    )
    lease_wait: Seconds = Field(
        3.0, gt=0, description="Maximum time that they wait before they fetch themselves."
    )
    revalidate: Seconds = Field(
        0.0, ge=0, description="How long an expired response is kept for revalidation with its ETag."
    )
    stale_while_revalidate: Seconds = Field(
        0.0, ge=0, description="How long an expired response is served while it is refreshed."
    )
    stale_if_error: Seconds = Field(
        0.0, ge=0, description="How long an expired response is served if the upstream fails."
    )
    negative_ttl: Seconds = Field(0.0, ge=0, description="How long a 404 stays in Redis.")
    l1: Seconds = Field(
        0.0,
        ge=0,
        description="How long the app answers from its own memory before it asks Redis again.",
    )
    max_body: Bytes = Field(
        16_000_000, ge=1, description="Largest body that is cached; the stub sends at most 1 MiB."
    )
    vary: str = Field(
        "",
        pattern=r"^$|^[A-Za-z0-9-]+(, ?[A-Za-z0-9-]+)*$",
        max_length=200,
        description="Request headers that select the answer, such as `accept, accept-language`: each "
        "combination of their values is cached separately.",
    )


class Upstream(Strict):
    """The stub of the GitHub API that answers what the cache does not, and how the app calls it."""

    latency_ms: Milliseconds = Field(20.0, ge=0, le=60_000, description="Median time to answer.")
    latency_spread: float = Field(
        0.0, ge=0, le=3, description="Sigma of a log-normal latency; 0 makes it constant."
    )
    body: Bytes = Field(4096, ge=1, le=50_000_000, description="Median size of a body.")
    body_spread: float = Field(
        1.0, ge=0, le=3, description="Sigma of the log-normal sizes; 0 makes them equal."
    )
    error_ratio: float = Field(0.0, ge=0, le=1, description="Share of calls answered with 502.")
    missing_ratio: Share = Field(
        0.0, ge=0, le=1, description="Share of missing paths: each of them always answers 404."
    )
    rate_limit: int | None = Field(None, ge=1, description="Allowed calls per hour; none: no limit.")
    concurrency: int | None = Field(
        None, ge=1, description="Maximum number of concurrent calls of one replica; none: `workload.users`."
    )
    reserve: int = Field(
        10, ge=0, description="Calls per hour reserved for responses that are not cached at all."
    )


class Link(Strict):
    """The network hop between the app and a separate Redis."""

    rtt_ms: Milliseconds = Field(
        0.3,
        ge=0,
        le=1000,
        description="Round-trip time between app and Redis, as measured by PING; 0: no added delay.",
    )


class Resources(Strict):
    """What one task may use."""

    cpus: float | None = Field(
        None, gt=0, le=64, description="CPUs of a task (the app and its sidecar); none: no limit."
    )
    memory: Bytes | None = Field(None, ge=32_000_000, description="Memory of a task; none: no limit.")


class Settings(Strict):
    """Everything that can differ between variants."""

    label: str = Field(
        "",
        pattern=r"^[a-z0-9_]*$",
        max_length=30,
        description="Distinguishes variants with equal settings, as in an A/A test; for cases, their name.",
    )
    topology: TopologyName = topologies.SIDECAR.name
    replicas: int = Field(2, ge=1, le=64, description="Number of copies of the app.")
    workload: Workload = Workload()
    cache: Cache = Cache()
    upstream: Upstream = Upstream()
    link: Link = Link()
    resources: Resources = Resources()

    @property
    def layout(self) -> Topology:
        """Its topology, with all that follows from it."""
        return topologies.of(self.topology)

    @property
    def relayed(self) -> bool:
        """Whether a relay delays what goes between app and Redis."""
        return self.layout.linked and self.link.rtt_ms > 0


class Variant(Settings):
    """One point of the matrix: all its settings, and the levels that tell it from the others."""

    id: str = Field(pattern=r"^[A-Za-z0-9][^/\x00-\x1f]*$")  # a part of its trials' folders
    levels: dict[str, Any] = Field(description="Value of each factor, by the field's dotted name.")

    @property
    def impossible_outcomes(self) -> tuple[str, ...]:
        """The outcomes that its topology and its cache's settings cannot have."""
        if not self.layout.cached:
            return self.layout.impossible_outcomes
        cache, never = self.cache, []
        if not (cache.revalidate or cache.stale_while_revalidate or cache.stale_if_error):
            never.append("stale")  # nothing is kept beyond its TTL
        if not (cache.single_flight or cache.lease):
            never.append("delayed")  # nobody waits for another's call
        return tuple(never)


class RunSettings(Strict):
    """Everything that holds for the whole run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)
    description: str = ""
    seed: int = Field(
        1, ge=0, lt=2**32, description="Seed of the order of trials, the arrivals and the keys."
    )
    schedule: Schedule = Schedule()
    margin: Margin = Margin()
    precision: Precision = Precision()
    thresholds: Thresholds = Field((), description="What the run must meet, such as `p99_ms <= 20`.")
    cases: dict[CaseName, dict[str, Any]] = Field(
        {},
        description="Variants that differ in several fields at once, by name, with the fields that each "
        "sets. "
        "Each is compared with the first.",
    )


class Scenario(RunSettings):
    """A scenario that has been read: the run's settings, its factors and its variants."""

    factors: dict[str, list[Any]] = Field(description="The levels of each varied field.")
    variants: tuple[Variant, ...]

    def variant(self, variant_id: str) -> Variant:
        """Return the variant of this id.

        Raises:
            KeyError: the scenario has none.
        """
        for variant in self.variants:
            if variant.id == variant_id:
                return variant
        raise KeyError(variant_id)
