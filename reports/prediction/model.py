"""`prediction.json`: what `sidecar-bench predict` has computed, an interface for scripts (docs/predict.md).

`python -m reports.prediction.model` regenerates the JSON Schema `prediction.schema.json`; a test keeps the
two in step. Fields may be added under the same `schema`; what a field means never changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from reports.summary.part import Part
from scenarios.topologies import PredictedName

SCHEMA: Final = "sidecar-bench/prediction/1"
SCHEMA_PATH: Final = Path(__file__).with_name("prediction.schema.json")

Topology = PredictedName
Routing = Literal["random", "round-robin", "least-outstanding", "sticky", "hash"]
Origin = Literal["given", "scenario", "log", "measured", "calibration", "assumed"]
Parameter = Literal["ttl_s", "replicas", "rtt_ms", "upstream_ms"]
Compared = Literal["mean_ms", "upstream_calls_busiest", "upstream_calls_mean"]


class Assumption(Part):
    """One thing that the prediction rests on."""

    name: str = Field(description="What programs call it, such as `hit_ms.sidecar`.")
    label: str = Field(description="What people call it.")
    value: float | str | bool | None
    unit: str = Field("", description="Of the value, such as `ms`; empty where it has none.")
    origin: Origin = Field(
        description="given: an option. scenario: a field of the scenario. log: the access log itself. "
        "measured: a stored run. calibration: measured for this prediction. assumed: a default of ours."
    )
    source: str = Field(description="The option, field, file or run that it comes from, in words.")


class Span(Part):
    """The traffic that all points are computed for, in brief."""

    kind: Literal["log", "described"]
    name: str = Field(description="The log's name, or the traffic in words.")
    begins: str | None = Field(description="ISO 8601, UTC; null where the traffic is described.")
    span_s: float = Field(description="Time over which requests are counted, in seconds.")
    requests: int = Field(description="Requests that are counted.")
    not_counted: int = Field(0, description="Requests of the first TTL, which fill the caches (`steady`).")
    rate: float = Field(description="Requests per second, mean.")
    keys: int = Field(description="Distinct cache keys among them, or paths of the described traffic.")
    uncacheable: int = Field(0, description="Requests whose answers are kept by no cache.")
    partial_hour: bool = Field(
        False,
        description="A log shorter than an hour, from empty caches: calls per hour are those of the log.",
    )


class Hourly(Part):
    """Upstream calls per hour."""

    mean: float
    busiest: float = Field(description="In the hour of most calls; hours begin with the traffic.")
    busiest_sd: float | None = Field(
        None, description="Standard deviation of `busiest` from one assignment to replicas to another."
    )
    busiest_hour: int | None = Field(None, description="Number of that hour, from 0; null where all are one.")


class Latency(Part):
    """Latencies of all requests in ms, put together from times and simulated outcomes."""

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    waiting_ms: float = Field(description="The mean's part that is queueing at the app (M/G/1).")


class Point(Part):
    """One combination, over all counted traffic. Counts are means over `seeds` where routing is random.

    Standard errors are those of these means; null where nothing is random.
    """

    id: str
    topology: Topology
    l1_s: float = Field(0.0, description="In-process cache in front of Redis: its TTL; 0: none.")
    replicas: int
    ttl_s: float
    routing: Routing
    maxmemory: int | None = Field(description="Bytes of each cache; null: no limit.")
    seeds: int = Field(1, description="Routings that are averaged.")
    requests: int
    hits: float
    l1_hits: float = Field(0.0, description="Those of the hits that an in-process cache in front answers.")
    delayed: float = Field(0.0, description="Requests that wait for a call already under way.")
    stale: float = Field(0.0, description="Requests served an expired copy while it is fetched again.")
    upstream_calls: float
    quota_calls: float = Field(description="Those that count against the quota: without 304 answers.")
    hit_ratio: float
    hit_ratio_se: float | None = None
    upstream_calls_se: float | None = None
    evicted: float = Field(0.0, description="Entries that a cache evicted for want of memory.")
    upstream_calls_per_hour: Hourly
    quota_calls_per_hour: Hourly
    hours_over_quota: float | None = Field(description="Hours with more quota calls; null without a quota.")
    latency: Latency | None = Field(description="Null where replicas cannot serve the rate.")
    mean_ms: float | None = Field(description="As in `latency`.")
    utilization: float = Field(description="Share of a replica's time that is busy; 1 or more: no fit.")
    does_not_fit: str | None = Field(None, description="Why there is no latency; null where there is one.")
    monthly_usd: float | None = Field(description="Null where Fargate has no such task.")


class Own(Part):
    """The combination that the answer is about, and the two points that it compares."""

    ttl_s: float
    replicas: int
    routing: Routing
    sidecar: str = Field(description="Id of its point.")
    separate: str = Field(description="Id of its point.")
    points: list[str] = Field(description="Ids of all points at this TTL, these replicas and this routing.")


class Hour(Part):
    """One hour of the traffic, for the points of `own`."""

    begins: str | None = Field(description="ISO 8601, UTC; null where the traffic is described.")
    requests: int
    calls: dict[str, float] = Field(description="Upstream calls, by point.")
    quota_calls: dict[str, float] = Field(description="Calls that count against the quota, by point.")


class Deployment(Part):
    """What one rolling deployment costs a point of `own`."""

    point: str
    extra_calls: float = Field(description="Calls more than without it, the mean over simulated ones.")
    extra_calls_se: float | None
    simulated: int = Field(description="Deployments, at different times; 0: it is an expectation.")
    per_day: float = Field(description="Deployments a day that the points have in them.")


class Series(Part):
    """One topology over the grid: rows by TTL, columns by number of replicas."""

    topology: Topology
    l1_s: float = 0.0
    calls: list[list[float]] = Field(description="Upstream calls.")
    quota_calls: list[list[float]] = Field(description="Those that count against the quota.")
    hits: list[list[float]] = Field(description="Requests that hit, in the process's own cache or in Redis.")
    l1_hits: list[list[float]] = Field(description="Those that hit in the process's own cache in front.")
    delayed: list[list[float]] = Field(description="Requests that wait for a call already under way.")
    stale: list[list[float]] = Field(
        default_factory=list,
        description="Requests served an expired copy while it is fetched again; empty where none is.",
    )
    busiest: list[list[float]] = Field(description="Upstream calls in the busiest hour.")
    quota_busiest: list[list[float]] = Field(description="Those that count against the quota.")


class Grid(Part):
    """The same traffic over many TTLs and numbers of replicas: what curves, maps and the explorer draw."""

    routing: Routing
    memory_total: int | None = Field(description="Bytes of all caches together; null: no limit.")
    ttl_s: list[float]
    replicas: list[int]
    requests: list[float] = Field(description="Counted requests, by TTL.")
    hours: list[float] = Field(description="Counted hours, by TTL: calls per hour are calls over these.")
    series: list[Series]


class MemoryPoint(Part):
    """One size of memory: of all caches together, whatever their number."""

    maxmemory: int
    hit_ratio: dict[str, float] = Field(description="By topology.")
    upstream_calls: dict[str, float] = Field(description="By topology.")
    evicted: dict[str, float] = Field(description="By topology.")


class TopologyTimes(Part):
    """How long requests take in one topology, beside the round trip and the upstream (ms).

    A hit takes hit_ms + hit_hops × rtt_ms (in an in-process cache in front: l1_hit_ms), a miss
    miss_ms + miss_hops × rtt_ms + upstream_mean_ms, a delayed request
    hit_ms + hit_hops × rtt_ms + half of what a miss takes. To each comes the wait in the queue. M/G/1 has it
    as λ·E[B²] / 2(1 − λ·E[B]) at λ requests per ms and replica, where B is hit_busy_ms for a share of
    requests and miss_busy_ms for those that make a call.
    """

    topology: Topology
    l1_hit_ms: float
    hit_ms: float
    hit_hops: float
    miss_ms: float
    miss_hops: float
    hit_busy_ms: float = Field(description="For so long a hit keeps the app's process busy.")
    miss_busy_ms: float


class Times(Part):
    """What latencies are put together from."""

    rtt_ms: float
    upstream_ms: float
    upstream_mean_ms: float = Field(description="Mean; `upstream_ms` is the median.")
    upstream_spread: float = Field(description="Sigma of its logarithm.")
    hit_spread: float = Field(description="Sigma of the logarithm of the other times.")
    topologies: list[TopologyTimes]


class Quota(Part):
    """What the upstream allows."""

    calls: int
    per_s: float = Field(description="In so many seconds: 3600 an hour.")


class Crossing(Part):
    """Where sidecars and a separate Redis change places, all else as in `own`."""

    metric: Compared
    parameter: Parameter
    value: float = Field(description="The two are equal there; in the parameter's unit.")
    below: Literal["sidecar", "separate", "equal"] = Field(description="Which is lower below it.")
    above: Literal["sidecar", "separate", "equal"] = Field(description="Which is lower above it.")


class Prediction(Part):
    """What a prediction has found."""

    schema_: Literal["sidecar-bench/prediction/1"] = Field(SCHEMA, alias="schema")
    version: str = Field(description="Version of sidecar-bench.")
    command: list[str] = Field(description="The command that repeats it.")
    answer: str = Field(description="The finding in a few sentences, for people.")
    start: Literal["cold", "steady"]
    seconds: float = Field(description="What computing took.")
    traffic: dict[str, Any] = Field(
        description="As `sidecar-bench log --json` tells a log; rate, keys, distribution and exponent where "
        "traffic is described."
    )
    span: Span
    quota: Quota | None
    deploys_per_day: float
    assumptions: list[Assumption]
    times: Times
    own: Own
    points: list[Point] = Field(description="Every combination that was asked for.")
    grid: Grid
    memory: list[MemoryPoint] = Field(description="At `own`, over sizes of memory; empty where not computed.")
    hours: list[Hour]
    deployments: list[Deployment]
    crossings: list[Crossing]
    notes: list[str] = Field(description="What a reader should know, in sentences.")

    def point(self, name: str) -> Point:
        """Return the point of this id.

        Raises:
            KeyError: there is none.
        """
        for point in self.points:
            if point.id == name:
                return point
        raise KeyError(name)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of prediction.json."""
    described = Prediction.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def written() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_PATH.write_text(written(), encoding="utf-8")
