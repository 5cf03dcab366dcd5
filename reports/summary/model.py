"""`summary.json`: what a run has found, as an interface for scripts (docs/results.md).

`python -m reports.summary.model` regenerates the JSON Schema `reports/summary.schema.json`; a test keeps the
two in step. Fields may be added under the same `schema`; what a field means never changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from reports.summary.calls import CallsPerHour
from reports.summary.part import Interval, Part
from scenarios.metrics import Kind
from scenarios.topologies import TopologyName

SCHEMA: Final = "sidecar-bench/summary/1"
SCHEMA_PATH: Final = Path(__file__).with_name("summary.schema.json")

Decision = Literal["better", "worse", "equivalent", "undecided"]
Kept = Literal["pass", "fail", "undecided"]
GateOutcome = Literal["passed", "failed", "not applicable"]


class MetricValue(Part):
    """A metric of one variant: the mean over the blocks in which it is valid."""

    value: float
    ci95: Interval | None = Field(description="95% interval over blocks; null if there is only one.")


class Metrics(Part):
    """The metrics of one variant. A percentile with too few samples is null."""

    p50_ms: MetricValue | None = Field(description="Median latency from the intended send, all requests.")
    p90_ms: MetricValue | None = Field(description="90th percentile of latency.")
    p99_ms: MetricValue | None = Field(description="99th percentile of latency.")
    mean_ms: MetricValue | None = Field(description="Mean latency.")
    hit_p50_ms: MetricValue | None = Field(description="Median latency of the requests that were hits.")
    miss_p50_ms: MetricValue | None = Field(
        description="Median latency of the requests that made an upstream call (all, without a cache)."
    )
    hit_ratio: MetricValue | None = Field(
        description="Requests answered from the cache divided by all requests."
    )
    upstream_calls_per_1000: MetricValue | None = Field(description="Upstream calls per 1,000 requests.")
    upstream_reduction: MetricValue | None = Field(
        description="Share of the baseline's upstream calls that the variant saves; see `reduction_baseline`."
    )
    error_ratio: MetricValue | None = Field(description="Failed requests divided by all requests.")


class Theory(Part):
    """What theory expects of one trial's measured window."""

    hit_ratio: float
    upstream_calls: float
    delayed_ratio: float = Field(description="Share of requests that wait for a call in progress.")
    fill_time_ms: float = Field(description="Fill time used for the expectation.")


class FillCauses(Part):
    """Why misses happened in the average trial, including the warm-up, and the calls of one shared cache."""

    cold: float = Field(
        description="The cache had never been asked for the key (with a log: as far as the trial knows)."
    )
    concurrent: float = Field(description="A call for the key was in progress.")
    expired: float = Field(description="The copy had outlived its TTL.")
    lost: float = Field(description="The copy should have been there: evicted, or never stored.")
    shared: float | None = Field(
        description="Calls that one cache for all replicas would have made; null if its contents at the "
        "start "
        "are not known."
    )


class VariantSummary(Part):
    """One variant, over its valid trials."""

    id: str
    topology: TopologyName
    ttl_s: float | None = Field(description="Null without a cache, and with targets.")
    replicas: int
    rtt_ms: float | None = Field(description="Configured round-trip time; null if there is no link.")
    rtt_achieved_ms: float | None = Field(
        description="Round-trip time by PING from where the app runs: the mean of before and after the load."
    )
    levels: dict[str, Any] = Field(description="Value of each factor of the scenario that this variant uses.")
    valid_trials: int = Field(description="Trials with valid counts and times.")
    counts_trials: int = Field(0, description="Trials used for hit ratios, calls and errors, one per block.")
    times_trials: int = Field(0, description="Trials used for latencies, one per block.")
    metrics: Metrics
    theory: Theory | None = Field(description="Null if there is no prediction.")
    theory_silence: str | None = Field(
        None, description="Why there is no prediction for this variant's trials; null if there is one."
    )
    fills: FillCauses | None = Field(description="Null without a cache, and with targets.")
    start: Literal["steady", "cold", "unknown"] = Field(
        "cold",
        description="Contents of its caches when a trial began: those of a long-running service, "
        "nothing, or whatever running services had.",
    )
    upstream_calls_per_hour: CallsPerHour | None = Field(
        None, description="Null if nothing computes them and no trial had a steady start."
    )


class Comparison(Part):
    """One metric of variant `b` compared with variant `a`, paired within blocks."""

    metric: str
    a: str
    b: str
    difference: float | None = Field(description="b − a, the mean over blocks with both.")
    ci95: Interval | None = Field(description="95% interval of the difference, over blocks.")
    decision_ci: Interval | None = Field(
        description="The interval that decided: wider than ci95 if the run could have continued."
    )
    better: str | None = Field(description="The better variant's id; null if neither was found better.")
    decision: Decision = Field(description="Result of b compared with a.")
    reference: float = Field(description="The mean of a over the same blocks.")
    margin: float = Field(description="Differences within ± this are equivalent; in the metric's unit.")
    blocks: int = Field(description="Blocks in which this metric is valid for both variants.")
    more_blocks: int | None = Field(
        description="Approximate number of further blocks that would decide; null if decided, or out of "
        "reach."
    )
    detectable: float | None = Field(
        description="The smallest true difference that this run would have detected with 80% power."
    )


class Attributed(Part):
    """A difference b − a, split into causes. The parts add up to the total."""

    total: MetricValue
    parts: dict[str, MetricValue]


class Attribution(Part):
    """The causes of the differences between variant `b` and variant `a`."""

    a: str
    b: str
    mean_ms: Attributed | None = Field(
        description="Mean latency: `redis_hop`, `upstream` (waits on it, by the hit ratio), `queueing` "
        "(behind other requests), `rest`, `send_lag`. Parts that cannot be separated from the rest are "
        "omitted."
    )
    hit_ratio: Attributed | None = Field(
        description="`cold`, `expired`, `concurrent`, `evicted` (at most), `unstored`, `lost` (one of the "
        "two, if Redis does not say which), `other` (failed, or bypassed Redis)."
    )
    hit_ratio_long_run: Attributed | None = Field(
        None,
        description="The same difference in the long run, computed: `expired`, `concurrent`, `evicted`. Null "
        "if nothing computes it.",
    )
    hit_ratio_sharing: MetricValue | None = Field(
        description="The part of the difference in hit ratio that one shared cache instead of each would "
        "avoid."
    )


class ThresholdResult(Part):
    """One threshold of the scenario, for one variant (or two): judged by its interval."""

    text: str
    variant: str
    outcome: Kept
    value: float | None = Field(description="The metric; for two variants, left − factor × right.")
    interval: Interval | None
    bound: float
    more_blocks: int | None = Field(
        None,
        description="Approximate number of further blocks that would decide; null if decided, or out "
        "of reach.",
    )


class Stopping(Part):
    """Whether the run had a reason to end where it did."""

    stop: bool
    reason: str
    undecided: list[str] = Field(description="Comparisons that would need more blocks.")
    more_blocks: int | None = Field(
        description="Approximate number of further blocks that would decide all of them."
    )


class GateResult(Part):
    """One gate of a trial's validity certificate."""

    name: str
    figure: str = Field(description="What was measured, as text; if not applicable, why.")
    bound: str
    outcome: GateOutcome
    protects: list[Kind] = Field([], description="What is invalid if it failed.")
    reason: str | None = Field(None, description="Meaning of its failure; null if it did not fail.")


class Refused(Part):
    """Trials whose counts, times or both are invalid for the same reason."""

    kinds: list[Kind] = Field(description="What is excluded.")
    gate: str = Field(description="The gate that most of them failed.")
    trials: list[str] = Field(description="Their ids; `…, attempt 2` for a second attempt.")
    reason: str = Field(description="The reason of the first of them.")
    remedy: str = Field(description="What to do about it; empty if unknown.")


class TrialSummary(Part):
    """One trial. Counts cover the whole trial, including the warm-up, so that they can be compared."""

    id: str
    variant: str
    block: int
    attempt: int
    valid: bool = Field(description="It passed every gate: counts and times are valid.")
    reasons: list[str] = Field(description="Why counts or times are invalid.")
    counts_valid: bool = Field(description="Its hit ratio, calls and errors are valid.")
    counts_reasons: list[str] = Field(description="Why they are invalid.")
    times_valid: bool = Field(description="Its latencies are valid.")
    times_reasons: list[str] = Field(description="Why they are invalid.")
    requests: int
    hits: int
    misses: int
    delayed: int = Field(0, description="Requests that waited for a call of another request.")
    errors: int
    unknown: int = Field(0, description="Answers that did not say whether they were hits.")
    unsent: int = Field(0, description="Requests that were not yet sent when the trial ended.")
    failures: dict[str, int] = Field({}, description="Failed requests by status, or by reason.")
    statuses: dict[str, int] = Field({}, description="Answers by status.")
    told_by: dict[str, int] = Field(
        {}, description="Answers by the header that stated their outcome, or none."
    )
    upstream_calls: int | None = Field(description="Counted by `upstream_counted_by`; null: not known.")
    upstream_counted_by: Literal["upstream", "app", "headers", "url", "unknown", "nobody"] = Field(
        description="Who counted. With targets there is no stub upstream. The source is a URL given by the "
        "user, the "
        "app's metrics, or the answers' headers. unknown: the answers do not say. nobody: the trial failed "
        "before the upstream could be asked."
    )
    app_hits: int | None = Field(description="Null if a target's metrics could not be read.")
    app_misses: int | None
    achieved_rate: float = Field(description="Requests sent per second after the warm-up.")
    send_lag_p99_ms: float | None = Field(description="Null if no request was sent after the warm-up.")
    rtt_achieved_ms: float | None
    expected_calls: float | None = Field(description="Upstream calls that theory expects in the whole trial.")
    expected_calls_error: float | None = Field(description="The standard error of that expectation.")
    z: float | None = Field(description="Counted minus expected, in standard errors.")
    gates: list[GateResult] = Field([], description="The trial's validity certificate.")


class Summary(Part):
    """The results of a run."""

    schema_: Literal["sidecar-bench/summary/1"] = Field(SCHEMA, alias="schema")
    run_id: str
    scenario: str
    verdict: str = Field(description="The result in a sentence or two.")
    stack: str
    started: str = Field(description="UTC, ISO 8601.")
    command: list[str] = Field(description="The command that repeats the run.")
    reduction_baseline: Literal["none", "requests"] = Field(
        description="Baseline of upstream_reduction: the variant without a cache, or one call per request."
    )
    blocks: int = Field(description="Blocks with a trial whose counts or times are valid.")
    stopping: Stopping
    variants: list[VariantSummary]
    comparisons: list[Comparison]
    attributions: list[Attribution] = Field([], description="One for each comparison of two variants.")
    thresholds: list[ThresholdResult]
    trials: list[TrialSummary]
    refused: list[Refused] = Field([], description="What was excluded, and why: each reason once.")
    notes: list[str] = Field(description="What a reader should know, in sentences.")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of summary.json."""
    described = Summary.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def written() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_PATH.write_text(written(), encoding="utf-8")
