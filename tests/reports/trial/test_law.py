"""The law of the open loop: latency counts from the moment at which a request was due, not from its send.

The rows are few and regular, so that each figure can be worked out by hand.

    due       requests  outcome  sent late by  answered after  latency
    0.99 s           5  hit             20 ms            1 ms  in the warm-up, though sent after it
    1.00 s …        50  miss            50 ms            3 ms  53 ms
    1.50 s …       150  hit              2 ms            1 ms  3 ms

Requests are due every 10 ms. The mean latency is (50 × 53 + 150 × 3) / 200 = 15.5 ms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.stored import runs
from reports.trial.measures import Measures, measure

EVERY_US = 10_000


def requests() -> pd.DataFrame:
    warm = [(990_000, 20_000, 1_000, "hit")] * 5
    misses = [(1_000_000 + n * EVERY_US, 50_000, 3_000, "miss") for n in range(50)]
    hits = [(1_500_000 + n * EVERY_US, 2_000, 1_000, "hit") for n in range(150)]
    table = pd.DataFrame([*warm, *misses, *hits], columns=["intended_us", "lag_us", "took_us", "outcome"])
    sent_us = table["intended_us"] + table["lag_us"]
    return pd.DataFrame(
        {
            "intended_us": table["intended_us"],
            "sent_us": sent_us,
            "end_us": sent_us + table["took_us"],
            "status": 200,
            "outcome": pd.Categorical(table["outcome"]),
            "replica": 0,
            "key": range(len(table)),
            "bytes": 1000,
        }
    )


def measured(made_up: Any, rows: pd.DataFrame) -> Measures:
    run: Path = made_up(topology="sidecar", schedule={"warmup": 1, "duration": 2, "blocks": 1})
    stored = runs.read(run)
    [trial] = stored.trials
    rows.to_parquet(trial.folder / "requests.parquet", index=False)
    found = measure(trial, stored.record.scenario.variants[0])
    assert found is not None
    return found


def test_latency_counts_from_the_intended_time(made_up: Any) -> None:
    found = measured(made_up, requests())
    assert found.requests == 200, "those that were due in the warm-up are not among them"
    assert found.outcomes == {"hit": 150, "miss": 50}
    every, hit, miss = (found.latency[name] for name in ("all", "hit", "miss"))
    assert every.mean_ms == pytest.approx(15.5)
    assert (hit.mean_ms, miss.mean_ms) == (pytest.approx(3.0), pytest.approx(53.0))
    # 200 requests have 20 beyond the 90th percentile, and 2 beyond the 99th, which are too few.
    assert every.quantiles_ms == {"p50": 3.0, "p90": 53.0, "p99": None, "p99.9": None}
    assert hit.quantiles_ms == {"p50": 3.0, "p90": 3.0, "p99": None, "p99.9": None}
    assert miss.quantiles_ms == {"p50": 53.0, "p90": None, "p99": None, "p99.9": None}
    assert every.histogram.sum() == 200
    assert found.metrics == {
        "p50_ms": 3.0,
        "p90_ms": 53.0,
        "mean_ms": pytest.approx(15.5),
        "hit_p50_ms": 3.0,
        "miss_p50_ms": 53.0,
        "hit_ratio": 0.75,
        "upstream_calls_per_1000": pytest.approx(1000 * found.upstream_calls / 200),
        "error_ratio": 0.0,
    }


def test_service_times_and_lags_are_kept_beside_it(made_up: Any) -> None:
    found = measured(made_up, requests())
    assert found.kinds == {"hit": (0.75, pytest.approx(1.0)), "miss": (0.25, pytest.approx(3.0))}
    assert found.fill_s == pytest.approx(0.003)
    assert found.lag_mean_ms == pytest.approx((50 * 50 + 150 * 2) / 200)
    assert (found.send_lag_p50_ms, found.send_lag_p99_ms) == (2.0, 50.0)
    assert found.achieved_rate == (200 + 5) / 2, "what was sent in the measured time, whenever it was due"
    assert found.calls_by_second.tolist() == [0, 50, 0]


def test_from_the_send_it_would_be_another_law(made_up: Any) -> None:
    """Were `intended_us` taken for `sent_us`, a stall of the generator would be charged to nobody."""
    rows = requests()
    found = measured(made_up, rows.assign(intended_us=rows["sent_us"]))
    assert found.latency["all"].mean_ms == pytest.approx((50 * 3 + 155 * 1) / 205)
    assert found.lag_mean_ms == 0
