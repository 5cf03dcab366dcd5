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
    """A metric of one variant: the mean over the blocks in which it can be believed."""

    value: float
    ci95: Interval | None = Field(description="95% interval over blocks; null where there is only one.")


class Metrics(Part):
    """The metrics of one variant. A percentile with too few samples behind it is null."""

    p50_ms: MetricValue | None = Field(description="Median latency from the intended send, all requests.")
    p90_ms: MetricValue | None = Field(description="90th percentile of latency.")
    p99_ms: MetricValue | None = Field(description="99th percentile of latency.")
    mean_ms: MetricValue | None = Field(description="Mean latency.")
    hit_p50_ms: MetricValue | None = Field(description="Median latency of the requests that were hits.")
    miss_p50_ms: MetricValue | None = Field(
        description="Median latency of the requests that made an upstream call (all, without a cache)."
    )
    hit_ratio: MetricValue | None = Field(description="Requests answered from the cache, of all requests.")
    upstream_calls_per_1000: MetricValue | None = Field(description="Upstream calls per 1,000 requests.")
    upstream_reduction: MetricValue | None = Field(
        description="Share of the baseline's upstream calls that are saved; see `reduction_baseline`."
    )
    error_ratio: MetricValue | None = Field(description="Requests that failed, of all requests.")


class Theory(Part):
    """What theory expects of one trial's measured window."""

    hit_ratio: float
    upstream_calls: float
    delayed_ratio: float = Field(description="Requests that wait for a call already under way.")
    fill_time_ms: float = Field(description="The time of a fill that the expectation was worked out with.")


class FillCauses(Part):
    """Why misses happened in the average trial, warm-up included, and what one shared cache would call."""

    cold: float = Field(
        description="The cache had never been asked for the key; with a log, as far as the trial knows."
    )
    concurrent: float = Field(description="A call for the key was under way.")
    expired: float = Field(description="The copy had outlived its TTL.")
    lost: float = Field(description="The copy should have been there: evicted, or never stored.")
    shared: float | None = Field(
        description="Calls that one cache for all replicas would have made; null where it is not known what "
        "that would have held at the start."
    )


class VariantSummary(Part):
    """One variant, over its valid trials."""

    id: str
    topology: TopologyName
    ttl_s: float | None = Field(description="Null in the topology without a cache, and with targets.")
    replicas: int
    rtt_ms: float | None = Field(description="Round-trip time configured; null where there is no link.")
    rtt_achieved_ms: float | None = Field(
        description="Round-trip time by PING from the app's place: the mean of before and after the load."
    )
    levels: dict[str, Any] = Field(description="Value of each factor of the scenario that this variant uses.")
    valid_trials: int = Field(description="Trials of which counts and times can be believed.")
    counts_trials: int = Field(0, description="Trials behind hit ratios, calls and errors, one a block.")
    times_trials: int = Field(0, description="Trials behind latencies, one a block.")
    metrics: Metrics
    theory: Theory | None = Field(description="Null where there is no prediction.")
    theory_silence: str | None = Field(
        None, description="Why there is no prediction for this variant's trials; null where there is one."
    )
    fills: FillCauses | None = Field(description="Null without a cache, and with targets.")
    start: Literal["steady", "cold", "unknown"] = Field(
        "cold",
        description="What its caches held when a trial began: what those of a long-running service hold, "
        "nothing, or what running services had.",
    )
    upstream_calls_per_hour: CallsPerHour | None = Field(
        None, description="Null where nothing computes them and no trial had a steady start."
    )


class Comparison(Part):
    """One metric of variant `b` compared with variant `a`, paired within blocks."""

    metric: str
    a: str
    b: str
    difference: float | None = Field(description="b − a, the mean over blocks that have both.")
    ci95: Interval | None = Field(description="95% interval of the difference, over blocks.")
    decision_ci: Interval | None = Field(
        description="The interval that decided: wider than ci95 while the run could still have gone on."
    )
    better: str | None = Field(description="The better variant's id; null where neither was found better.")
    decision: Decision = Field(description="How b does against a.")
    reference: float = Field(description="The mean of a over the same blocks.")
    margin: float = Field(description="Differences within ± this are equivalent; in the metric's unit.")
    blocks: int = Field(description="Blocks in which this metric of both variants can be believed.")
    more_blocks: int | None = Field(
        description="About how many more blocks would decide; null where decided, or out of reach."
    )
    detectable: float | None = Field(
        description="The smallest true difference that this run would have detected with 80% power."
    )


class Attributed(Part):
    """A difference b − a, split into causes. The parts add up to the total."""

    total: MetricValue
    parts: dict[str, MetricValue]


class Attribution(Part):
    """What the differences of variant `b` from variant `a` come from."""

    a: str
    b: str
    mean_ms: Attributed | None = Field(
        description="Mean latency: `redis_hop`, `upstream` (waits on it, by the hit ratio), `queueing` "
        "(behind other requests), `rest`, `send_lag`. What cannot be told from the rest is left out."
    )
    hit_ratio: Attributed | None = Field(
        description="`cold`, `expired`, `concurrent`, `evicted` (at most), `unstored`, `lost` (one or the "
        "other, where Redis does not tell), `other` (failed, or past Redis)."
    )
    hit_ratio_long_run: Attributed | None = Field(
        None,
        description="The same difference in the long run, computed: `expired`, `concurrent`, `evicted`. Null "
        "where nothing computes it.",
    )
    hit_ratio_sharing: MetricValue | None = Field(
        description="What of the difference in hit ratio one shared cache in the place of each would avoid."
    )


class ThresholdResult(Part):
    """One threshold of the scenario, for one variant (or two): judged by its interval."""

    text: str
    variant: str
    outcome: Kept
    value: float | None = Field(description="The metric; of two variants, left − factor × right.")
    interval: Interval | None
    bound: float
    more_blocks: int | None = Field(
        None, description="About how many more blocks would decide; null where decided, or out of reach."
    )


class Stopping(Part):
    """Whether the run had reason to end where it did."""

    stop: bool
    reason: str
    undecided: list[str] = Field(description="Comparisons for which blocks would still be added.")
    more_blocks: int | None = Field(description="About how many more would decide all of them.")


class GateResult(Part):
    """One gate of a trial's validity certificate."""

    name: str
    figure: str = Field(description="What was measured, for people; why not, where it is not applicable.")
    bound: str
    outcome: GateOutcome
    protects: list[Kind] = Field([], description="What cannot be believed where it failed.")
    reason: str | None = Field(None, description="What its failure means; null where it did not fail.")


class Refused(Part):
    """Trials of which counts, times or both cannot be believed, for the same reason."""

    kinds: list[Kind] = Field(description="What is left out of them.")
    gate: str = Field(description="The gate that most of them failed.")
    trials: list[str] = Field(description="Their ids; `…, attempt 2` of a second attempt.")
    reason: str = Field(description="As the first of them has it.")
    remedy: str = Field(description="What to do about it; empty where nothing is known.")


class TrialSummary(Part):
    """One trial. Counts are of the whole trial, warm-up included, so that they can be compared."""

    id: str
    variant: str
    block: int
    attempt: int
    valid: bool = Field(description="Every gate was passed: counts and times can be believed.")
    reasons: list[str] = Field(description="Why counts or times cannot be believed.")
    counts_valid: bool = Field(description="Its hit ratio, calls and errors can be believed.")
    counts_reasons: list[str] = Field(description="Why they cannot be believed.")
    times_valid: bool = Field(description="Its latencies can be believed.")
    times_reasons: list[str] = Field(description="Why they cannot be believed.")
    requests: int
    hits: int
    misses: int
    delayed: int = Field(0, description="Waited for a call that another request had begun.")
    errors: int
    unknown: int = Field(0, description="Answers that did not say whether they were hits.")
    unsent: int = Field(0, description="Requests that still waited to be sent when the trial ended.")
    failures: dict[str, int] = Field({}, description="Failed requests by the status that came, or by reason.")
    statuses: dict[str, int] = Field({}, description="Answers by status.")
    told_by: dict[str, int] = Field({}, description="Answers by the header that told their outcome, or none.")
    upstream_calls: int | None = Field(description="As `upstream_counted_by` has it; null: not known.")
    upstream_counted_by: Literal["upstream", "app", "headers", "url", "unknown", "nobody"] = Field(
        description="Who counted. With targets there is no stub upstream, but a URL that the user named, the "
        "app's metrics, or the answers' headers. unknown: the answers do not say. nobody: the trial failed "
        "before the upstream could be asked."
    )
    app_hits: int | None = Field(description="Null where a target's metrics could not be read.")
    app_misses: int | None
    achieved_rate: float = Field(description="Requests sent per second after the warm-up.")
    send_lag_p99_ms: float | None = Field(description="Null where no request was sent after the warm-up.")
    rtt_achieved_ms: float | None
    expected_calls: float | None = Field(description="Upstream calls that theory expects of the whole trial.")
    expected_calls_error: float | None = Field(description="The standard error of that expectation.")
    z: float | None = Field(description="Counted less expected, in standard errors.")
    gates: list[GateResult] = Field([], description="The trial's validity certificate.")


class Summary(Part):
    """What a run has found."""

    schema_: Literal["sidecar-bench/summary/1"] = Field(SCHEMA, alias="schema")
    run_id: str
    scenario: str
    verdict: str = Field(description="The finding in a sentence or two, for people.")
    stack: str
    started: str = Field(description="UTC, ISO 8601.")
    command: list[str] = Field(description="The command that repeats the run.")
    reduction_baseline: Literal["none", "requests"] = Field(
        description="What upstream_reduction is counted from: the variant without a cache, or one call "
        "a request."
    )
    blocks: int = Field(description="Blocks with a trial of which counts or times can be believed.")
    stopping: Stopping
    variants: list[VariantSummary]
    comparisons: list[Comparison]
    attributions: list[Attribution] = Field([], description="By comparison of two variants.")
    thresholds: list[ThresholdResult]
    trials: list[TrialSummary]
    refused: list[Refused] = Field([], description="What was left out, and why: each reason once.")
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
