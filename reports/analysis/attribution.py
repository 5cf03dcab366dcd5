"""Where time and hits go: the differences between two variants in latency and hits, split into causes.

The mean latency of a trial is  lag + Σ wₖ·sₖ  over the kinds k of requests (hit, miss, other): the
generator's mean send lag, and each kind's share times its mean service time. Between two trials of a
block the difference then splits without a rest (a Shapley split of products, L. Shapley 1953):

    Δlag  +  Σ Δwₖ·s̄ₖ  +  Σ w̄ₖ·Δsₖ

The second term is what more or fewer waits on upstream do. Of the third, ΔRTT times the Redis commands
of a request is the hop, and the difference in the time that requests wait behind others
(`reports.trial.queueing`) is queueing; what is left is work in the app, Redis and the upstream.

Each request that is no hit has one cause (`reports.trial.misses`), so the difference in hit ratio is the sum
of the differences in the causes' shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reports.calls import longrun
from reports.inference.comparisons import Pair
from reports.inference.standing import standing
from reports.statistics import estimates
from reports.statistics.estimates import Estimate
from reports.trial.measures import Measures
from reports.trial.misses import CAUSES, Fills
from scenarios.metrics import Kind
from scenarios.topologies import SIDECAR

COMMANDS: Final = SIDECAR.commands(lease=False)
LAG: Final = "late sends of the load generator"
MIX: Final = "waits on upstream, by the hit ratio"
HOP: Final = "the Redis hop (achieved RTT × commands)"
QUEUEING: Final = "queueing behind other requests"
REST: Final = "the rest: work in app, Redis and upstream"
TERMS: Final = (HOP, MIX, QUEUEING, REST, LAG)
# The same, for scripts.
KEYS: Final = {HOP: "redis_hop", MIX: "upstream", QUEUEING: "queueing", REST: "rest", LAG: "send_lag"}
# Where the hop cannot be measured, it is part of the rest.
HOPLESS: Final = {
    MIX: MIX, QUEUEING: QUEUEING, REST: REST.replace("work", "the Redis hop, work"), LAG: LAG,
}  # fmt: skip
# A shared cache is replayed as one that never fails: where more requests failed, that says nothing.
_MOST_OTHER: Final = 0.01


@dataclass(frozen=True)
class Attribution:
    """The difference b − a in mean latency (ms), and each cause's part of it, over blocks."""

    pair: Pair
    total: Estimate
    parts: Mapping[str, Estimate]


@dataclass(frozen=True)
class HitAttribution:
    """The difference b − a in hit ratio, and each cause's part of it, over blocks.

    The parts add up to the whole. `sharing` cuts it another way: what of the difference one shared cache
    in the place of each variant's own would take away; None where requests failed.
    """

    pair: Pair
    total: Estimate
    parts: Mapping[str, Estimate]
    sharing: Estimate | None


def attribute(pair: Pair, trials: Sequence[Measures]) -> Attribution | None:
    """Split the difference of a pair; None where no block has the times of both."""
    of_a, of_b = _by_block(pair, trials, "times")
    asked = tuple(one.layout.commands(lease=one.cache.lease) for one in (pair.a, pair.b))
    splits = [split(of_a[block], of_b[block], *asked) for block in sorted(of_a.keys() & of_b.keys())]
    if not splits:
        return None
    # Nobody knows how often Redis was asked where the app's memory answers.
    if pair.a.cache.l1 or pair.b.cache.l1 or not all(trial.record.deployed for trial in trials):
        splits = [_among_the_rest(found, HOP) for found in splits]
    if not all(QUEUEING in found for found in splits):
        splits = [_among_the_rest(found, QUEUEING) for found in splits]
    parts = {term: estimates.mean([found[term] for found in splits]) for term in splits[0]}
    total = estimates.mean([sum(found.values()) for found in splits])
    if total is None:
        return None
    return Attribution(pair, total, {term: part for term, part in parts.items() if part is not None})


def _among_the_rest(parts: Mapping[str, float], unknown: str) -> dict[str, float]:
    """Count a part among the rest, because not every block can tell it."""
    rest = parts[REST] + parts.get(unknown, 0.0)
    return {term: rest if term == REST else part for term, part in parts.items() if term != unknown}


def attribute_hits(pair: Pair, trials: Sequence[Measures]) -> HitAttribution | None:
    """Split the difference of a pair in hit ratio; None where no block has the counts of both.

    None, too, without a cache, and where caches were not cold at the start: then causes cannot be told.
    """
    of_a, of_b = _by_block(pair, trials, "counts")
    deployed = all(trial.record.deployed for trial in trials)
    if not (pair.a.layout.cached and pair.b.layout.cached and deployed):
        return None
    both = [(of_a[block].fills, of_b[block].fills) for block in sorted(of_a.keys() & of_b.keys())]
    parts = {cause: estimates.mean([a.shares[cause] - b.shares[cause] for a, b in both]) for cause in CAUSES}
    total = estimates.mean([sum(a.shares.values()) - sum(b.shares.values()) for a, b in both])
    if total is None:
        return None
    sound = all(fills.shares["other"] < _MOST_OTHER for each in both for fills in each)
    gains = [(_sharing(a), _sharing(b)) for a, b in both]
    known = [a - b for a, b in gains if a is not None and b is not None]
    sharing = estimates.mean(known) if sound and len(known) == len(gains) else None
    return HitAttribution(
        pair, total, {cause: part for cause, part in parts.items() if part is not None}, sharing
    )


def attribute_long_run(pair: Pair) -> dict[str, float] | None:
    """Split the difference b − a in hit ratio of the long run, as computed; None where it is not known.

    In the long run nothing is cold: a copy that is not there has expired, or was evicted.
    """
    a, b = (longrun.of_variant(variant) for variant in (pair.a, pair.b))
    if a is None or b is None or not (pair.a.layout.cached and pair.b.layout.cached):
        return None
    return {
        "expired": (a.miss_ratio - a.evicted_ratio) - (b.miss_ratio - b.evicted_ratio),
        "concurrent": a.delayed_ratio - b.delayed_ratio,
        "evicted": a.evicted_ratio - b.evicted_ratio,
    }


def _sharing(fills: Fills) -> float | None:
    """Return the share of requests that were no hits and would be, were the cache a shared one."""
    return None if fills.shared_share is None else sum(fills.shares.values()) - fills.shared_share


def _by_block(
    pair: Pair, trials: Sequence[Measures], kind: Kind
) -> tuple[dict[int, Measures], dict[int, Measures]]:
    of_a, of_b = (
        {trial.record.block: trial for trial in standing(trials, variant.id, kind)}
        for variant in (pair.a, pair.b)
    )
    return of_a, of_b


def split(
    a: Measures,
    b: Measures,
    asked_a: Mapping[str, int] = COMMANDS,
    asked_b: Mapping[str, int] = COMMANDS,
) -> dict[str, float]:
    """Split the difference in mean latency of two trials (ms), by how often each asks Redis for a request.

    Without the part of queueing where a trial cannot tell it: then it is in the rest.
    """
    parts = dict.fromkeys(TERMS, 0.0)
    parts[LAG] = b.lag_mean_ms - a.lag_mean_ms
    told = a.queueing_ms is not None and b.queueing_ms is not None
    queueing_ms = (b.queueing_ms or 0.0) - (a.queueing_ms or 0.0) if told else 0.0
    for kind in sorted({*a.kinds, *b.kinds}):
        share_a, service_a = a.kinds.get(kind, (0.0, None))
        share_b, service_b = b.kinds.get(kind, (0.0, None))
        # A kind that one side lacks is given the other side's time: its part is all in the shares.
        before = service_a if service_a is not None else service_b or 0.0
        after = service_b if service_b is not None else service_a or 0.0
        share = (share_a + share_b) / 2
        hop_ms = _rtt_ms(b) * asked_b[kind] - _rtt_ms(a) * asked_a[kind]
        parts[MIX] += (share_b - share_a) * (before + after) / 2
        both = share if service_a is not None and service_b is not None else 0.0
        parts[HOP] += both * hop_ms
        parts[QUEUEING] += both * queueing_ms
        parts[REST] += share * (after - before) - both * (hop_ms + queueing_ms)
    return parts if told else {term: part for term, part in parts.items() if term != QUEUEING}


def _rtt_ms(trial: Measures) -> float:
    return trial.record.link.during_ms if trial.record.link is not None else 0.0
