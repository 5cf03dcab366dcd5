"""Predictions for tests of the page, by the renewal formula of a TTL cache: no log, no simulation.

Requests come as a Poisson process over Zipf-distributed keys; hits, calls and latencies follow from formulas
that are written out here and share nothing with what is tested.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from reports.prediction.model import Prediction

KEYS = 500
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
TTLS = [MINUTE, 300.0, 900.0, 1800.0, HOUR, 2 * HOUR, 6 * HOUR, DAY]
REPLICAS = [1, 2, 4, 6, 8, 12, 16]
TOPOLOGIES = ("none", "process", "sidecar", "separate")
TIMES = {
    "none": (0.0, 0.0, 0.9, 0.0),
    "process": (0.06, 0.0, 0.95, 0.0),
    "sidecar": (0.18, 0.0, 1.1, 0.0),
    "separate": (0.18, 1.0, 1.1, 2.0),
}


def rates(rate: float) -> np.ndarray:
    weights = 1 / np.arange(1, KEYS + 1)
    return rate * weights / weights.sum()


def miss_ratio(topology: str, replicas: int, ttl_s: float, rate: float) -> float:
    if topology == "none":
        return 1.0
    each = rates(rate)
    life_s = ttl_s if topology == "separate" else ttl_s / replicas
    return float((each / (1 + each * life_s)).sum() / rate)


def by_hour(rate: float, hours: int) -> list[float]:
    """A day's rhythm: busiest at noon."""
    return [rate * HOUR * (1 - 0.6 * np.cos(2 * np.pi * hour / 24)) for hour in range(hours)]


def prediction(
    rate: float = 0.5,
    days: int = 3,
    quota: int | None = 500,
    described: bool = False,
    ttl_s: float = HOUR,
    replicas: int = 6,
    **changes: Any,
) -> Prediction:
    hours = 1 if described else days * 24
    requests = [rate * HOUR] if described else by_hour(rate, hours)
    total = sum(requests)
    begins = None if described else datetime(2026, 3, 2, tzinfo=UTC)

    def point(topology: str, count: int, ttl: float) -> dict[str, Any]:
        missed = miss_ratio(topology, count, ttl, rate)
        hit_ms, hops, miss_ms, miss_hops = TIMES[topology]
        mean = (1 - missed) * (hit_ms + hops * 0.5) + missed * (miss_ms + miss_hops * 0.5 + 33.0)
        hourly = {
            "mean": missed * total / hours,
            "busiest": missed * max(requests),
            "busiest_hour": None if described else 12,
        }
        random = topology in ("sidecar", "process") and not described
        return {
            "id": f"{topology}-{count}-{ttl:g}s", "topology": topology, "replicas": count, "ttl_s": ttl,
            "routing": "random", "maxmemory": None, "seeds": 5, "requests": round(total),
            "hits": (1 - missed) * total, "upstream_calls": missed * total, "quota_calls": missed * total,
            "hit_ratio": 1 - missed, "hit_ratio_se": 0.0008 if random else None,
            "upstream_calls_per_hour": hourly, "quota_calls_per_hour": hourly,
            "hours_over_quota": sum(missed * each > quota for each in requests) if quota else None,
            "latency": {"mean_ms": mean, "p50_ms": hit_ms, "p90_ms": mean, "p99_ms": 41.0, "waiting_ms": 0.0},
            "mean_ms": mean, "utilization": 0.01,
            "monthly_usd": 216.0 + (36.0 if topology == "separate" else 0),
        }  # fmt: skip

    def series(topology: str) -> dict[str, Any]:
        missed = [[miss_ratio(topology, count, ttl, rate) for count in REPLICAS] for ttl in TTLS]

        def times(factor: float) -> list[list[float]]:
            return [[value * factor for value in row] for row in missed]

        return {
            "topology": topology, "calls": times(total), "quota_calls": times(total),
            "hits": [[(1 - value) * total for value in row] for row in missed],
            "l1_hits": times(0.0), "delayed": times(0.0),
            "busiest": times(max(requests)), "quota_busiest": times(max(requests)),
        }  # fmt: skip

    own = [point(topology, replicas, ttl_s) for topology in TOPOLOGIES]
    made = {
        "version": "0.0.0",
        "command": ["sidecar-bench", "predict", "--log", "access.log", "--ttl", "1h", "--replicas", "6"],
        "answer": "On these 3 days of traffic with 6 replicas and a TTL of 1 h, a separate Redis makes 184 "
        "upstream calls in the busiest hour, sidecars 425 ± 6 (85% of 500): both fit. Sidecars answer hits "
        "0.5 ms sooner, and the mean is lower with a separate Redis (5.0 ms against 7.1 ms). They change "
        "places at a round trip of 3.4 ms.",
        "start": "steady",
        "seconds": 1.2,
        "traffic": {
            "distribution": "zipf", "exponent": 1.0,
        } if described else {
            "format": "Combined Log Format", "lines": 131_000, "requests": round(total), "resources": KEYS,
            "left_out": [
                {"reason": "method POST: not cached", "lines": 12,
                 "first": '192.0.2.1 - - [02/Mar/2026:00:00:01 +0000] "POST /login HTTP/1.1" 302 0 "-" "-"'},
                {"reason": "not in Combined Log Format", "lines": 3, "first": "<script>alert(1)</script>"},
            ],
            "first": "2026-03-02T00:00:00Z", "last": "2026-03-04T23:59:59Z", "span_s": days * DAY,
            "methods": {"GET": 129_000, "POST": 12}, "statuses": {"200": 128_000, "404": 1000},
            "asked_once": 0.31, "remarks": ["Gaps: 3 times no request came for more than 5 min"],
        },
        "span": {
            "kind": "described" if described else "log",
            "name": "described traffic" if described else "access.log",
            "begins": begins.isoformat() if begins else None, "span_s": hours * HOUR,
            "requests": round(total),
            "rate": total / hours / HOUR, "keys": KEYS,
        },
        "quota": {"calls": quota, "per_s": HOUR} if quota else None,
        "deploys_per_day": 2.0,
        "assumptions": [
            {"name": "rtt_ms", "label": "Round trip to a separate Redis", "value": 0.5, "unit": "ms",
             "origin": "assumed", "source": "typical within one availability zone"},
            {"name": "upstream_ms", "label": "Upstream latency, median", "value": 30.0, "unit": "ms",
             "origin": "given", "source": "--upstream-latency"},
            {"name": "hit_ms.sidecar", "label": "A hit in a sidecar", "value": 0.18, "unit": "ms",
             "origin": "measured", "source": "run 20260302-quick"},
            {"name": "single_flight", "label": "Single-flight", "value": True, "origin": "scenario",
             "source": "cache.single_flight"},
        ],
        "times": {
            "rtt_ms": 0.5, "upstream_ms": 30.0, "upstream_mean_ms": 33.0,
            "upstream_spread": 0.4, "hit_spread": 0.3,
            "topologies": [
                {"topology": topology, "l1_hit_ms": 0.06, "hit_ms": hit, "hit_hops": hops, "miss_ms": miss,
                 "miss_hops": miss_hops, "hit_busy_ms": 0.05, "miss_busy_ms": 0.5}
                for topology, (hit, hops, miss, miss_hops) in TIMES.items()
            ],
        },
        "own": {"ttl_s": ttl_s, "replicas": replicas, "routing": "random",
                "sidecar": f"sidecar-{replicas}-{ttl_s:g}s", "separate": f"separate-{replicas}-{ttl_s:g}s",
                "points": [one["id"] for one in own]},
        "points": own + [
            point(topology, replicas, other) for topology in TOPOLOGIES for other in (300.0, 6 * HOUR)
        ],
        "grid": {
            "routing": "random", "memory_total": None, "ttl_s": TTLS, "replicas": REPLICAS,
            "requests": [total] * len(TTLS), "hours": [float(hours)] * len(TTLS),
            "series": [series(topology) for topology in TOPOLOGIES],
        },
        "memory": [
            {"maxmemory": 2**20 * size,
             "hit_ratio": {"sidecar": 0.5 + size / 300, "separate": 0.7 + size / 600},
             "upstream_calls": {"sidecar": total * (0.5 - size / 300),
                                "separate": total * (0.3 - size / 600)},
             "evicted": {"sidecar": 900.0, "separate": 30.0}}
            for size in (8, 16, 32, 64)
        ],
        "hours": [
            {"begins": (begins + timedelta(hours=number)).isoformat() if begins else None,
             "requests": round(each),
             "calls": {one["id"]: (1 - one["hit_ratio"]) * each for one in own},
             "quota_calls": {one["id"]: (1 - one["hit_ratio"]) * each for one in own}}
            for number, each in enumerate(requests)
        ],
        "deployments": [
            {"point": f"sidecar-{replicas}-{ttl_s:g}s", "extra_calls": 310.0, "extra_calls_se": 12.0,
             "simulated": 20, "per_day": 2.0},
            {"point": f"separate-{replicas}-{ttl_s:g}s", "extra_calls": 0.0, "extra_calls_se": None,
             "simulated": 20, "per_day": 2.0},
        ],
        "crossings": [
            {"metric": "mean_ms", "parameter": "rtt_ms", "value": 3.4,
             "below": "separate", "above": "sidecar"}
        ],
        "notes": ["Shares of the quota are of the busiest hour."],
    }  # fmt: skip
    return Prediction.model_validate(made | changes)
