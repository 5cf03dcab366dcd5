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
        raise ValueError("a file's name that YAML reads as something else needs quotes, such as '20250314'")  # noqa: TRY004
    return name


FileName = Annotated[Path, BeforeValidator(_as_written)]
CaseName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=30)]


class Keys(Strict):
    """Which paths are asked for, and how unevenly; not used where a log gives the requests."""

    distribution: Literal["zipf", "uniform"] = "zipf"
    count: int = Field(500, ge=1, le=10_000_000, description="How many different paths there are.")
    exponent: float = Field(
        1.0, ge=0, le=5, description="Skew of the Zipf distribution: key i has weight 1/i^exponent."
    )
    file: Path | None = Field(
        None,
        description="A file of the service's own paths, one a line, the one most asked for first; `count` of "
        "them are used. None: paths are made up.",
    )


class Workload(Strict):
    """The requests: how often, when, and for which paths."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    rate: float = Field(200.0, gt=0, le=100_000, description="Requests per second, over all replicas.")
    arrivals: Literal["poisson", "constant", "log"] = Field(
        "poisson", description="When requests are sent; `log`: at the access log's own times."
    )
    keys: Keys = Keys()
    log: FileName | None = Field(
        None,
        description="An access log to take requests from: a file, a pattern such as access.log*, or - for "
        "standard input. Common or Combined Log Format, plain or packed.",
    )
    speedup: float = Field(1.0, gt=0, description="How much faster than its own times a log is replayed.")
    from_: Seconds = Field(
        0.0,
        alias="from",
        ge=0,
        description="Where in the log a trial begins: seconds, or a duration such as 3h, from its first "
        "request, in the log's own time.",
    )
    users: int = Field(256, ge=1, le=5000, description="The most requests that can be under way at once.")

    @model_validator(mode="after")
    def _log_goes_with_its_times(self) -> Workload:
        if self.arrivals == "log" and self.log is None:
            raise ValueError(
                "`arrivals: log` needs an access log: name it with workload.log (on the command line: "
                "--set workload.log=access.log)"
            )
        if self.from_ and self.log is None:
            raise ValueError(
                "`from` says where in a log a trial begins, and there is none: name it with `log`"
            )
        if self.speedup != 1.0 and self.arrivals != "log":
            raise ValueError(
                "`speedup` goes with `arrivals: log`; with other arrivals `rate` says how fast requests come"
            )
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
        0.0, ge=0, lt=1, description="By what share of itself a TTL is made longer or shorter, at random."
    )
    single_flight: bool = Field(
        True, description="Requests of a replica for what it is fetching already wait for that one call."
    )
    lease: bool = Field(
        False, description="So do those of other replicas on the same Redis: one of them fetches."
    )
    lease_wait: Seconds = Field(
        3.0, gt=0, description="How long they wait for it at most, before they fetch themselves."
    )
    revalidate: Seconds = Field(
        0.0, ge=0, description="How long an expired response is kept, to ask with its ETag whether it holds."
    )
    stale_while_revalidate: Seconds = Field(
        0.0, ge=0, description="How long an expired response is still served, while it is refreshed."
    )
    stale_if_error: Seconds = Field(
        0.0, ge=0, description="How long an expired response is still served where the upstream fails."
    )
    negative_ttl: Seconds = Field(0.0, ge=0, description="How long a 404 stays in Redis.")
    l1: Seconds = Field(
        0.0,
        ge=0,
        description="How long the app answers from its own memory before it asks Redis again.",
    )
    max_body: Bytes = Field(
        16_000_000, ge=1, description="The largest body that is kept; the stub sends none above 1 MiB."
    )
    vary: str = Field(
        "",
        pattern=r"^$|^[A-Za-z0-9-]+(, ?[A-Za-z0-9-]+)*$",
        max_length=200,
        description="Request headers by which answers differ, such as `accept, accept-language`: each "
        "combination of their values is cached for itself.",
    )


class Upstream(Strict):
    """The stub of the GitHub API that answers what the cache does not, and how the app calls it."""

    latency_ms: Milliseconds = Field(
        20.0, ge=0, le=60_000, description="Median time that it takes to answer."
    )
    latency_spread: float = Field(
        0.0, ge=0, le=3, description="Sigma of a log-normal latency; 0 makes it constant."
    )
    body: Bytes = Field(4096, ge=1, le=50_000_000, description="Median size of a body.")
    body_spread: float = Field(
        1.0, ge=0, le=3, description="Sigma of the log-normal sizes; 0 makes them equal."
    )
    error_ratio: float = Field(0.0, ge=0, le=1, description="Share of calls that it answers with 502.")
    missing_ratio: Share = Field(
        0.0, ge=0, le=1, description="Share of paths that are not there: each of them always answers 404."
    )
    rate_limit: int | None = Field(None, ge=1, description="Calls an hour that it allows; none: no limit.")
    concurrency: int | None = Field(
        None, ge=1, description="Calls of one replica under way at once; none: as many as `workload.users`."
    )
    reserve: int = Field(
        10, ge=0, description="Calls of the hour that are left to what is not cached at all."
    )


class Link(Strict):
    """The network hop between the app and a separate Redis."""

    rtt_ms: Milliseconds = Field(
        0.3,
        ge=0,
        le=1000,
        description="Round-trip time wanted between app and Redis, as PING sees it; 0: no delay.",
    )


class Resources(Strict):
    """What one task may use."""

    cpus: float | None = Field(
        None, gt=0, le=64, description="CPUs of a task (app, and its sidecar); none: no limit."
    )
    memory: Bytes | None = Field(None, ge=32_000_000, description="Memory of a task; none: no limit.")


class Settings(Strict):
    """Everything that can differ between variants."""

    label: str = Field(
        "",
        pattern=r"^[a-z0-9_]*$",
        max_length=30,
        description="Tells variants of equal settings apart, as in an A/A test; cases have their name here.",
    )
    topology: TopologyName = topologies.SIDECAR.name
    replicas: int = Field(2, ge=1, le=64, description="How many copies of the app run.")
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
    seed: int = Field(1, ge=0, lt=2**32, description="Seeds the order of trials, the arrivals and the keys.")
    schedule: Schedule = Schedule()
    margin: Margin = Margin()
    precision: Precision = Precision()
    thresholds: Thresholds = Field((), description="What the run must meet, such as `p99_ms <= 20`.")
    cases: dict[CaseName, dict[str, Any]] = Field(
        {},
        description="Variants that differ in several fields at once, by name: what each sets, as it stands "
        "above. Each is compared with the first.",
    )


class Scenario(RunSettings):
    """A scenario that has been read: the run's settings, its factors and its variants."""

    factors: dict[str, list[Any]] = Field(description="The levels of each field that is varied.")
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
