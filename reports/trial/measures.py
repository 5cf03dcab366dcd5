"""What one trial shows: its rows of requests, reduced to the few figures that a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.statistics.estimates import quantile_error
from reports.stored.records import TrialRecord
from reports.stored.runs import StoredTrial
from reports.trial.gate import Gate
from reports.trial.misses import Beginning, Fills, explain
from reports.trial.queueing import wait_ms
from reports.trial.validity import gates, reasons, stands
from scenarios.metrics import Kind
from scenarios.model import Variant
from scenarios.outcomes import CALLING
from scenarios.schedule import Start
from scenarios.tried import as_tried

# Latencies are also counted in bins of equal width on a log axis: 10 µs to 100 s, 100 bins a decade.
LOG_EDGES_US: Final = np.logspace(1, 8, 701)
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "p99.9": 0.999}
# A percentile is shown only where this many requests lie beyond it in every trial.
BEYOND: Final = 10
CLASSES: Final = ("all", "hit", "miss")

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Latency:
    """Latencies of one class of requests in one trial, from the intended send; milliseconds."""

    requests: int
    mean_ms: float | None
    quantiles_ms: dict[str, float | None]
    histogram: Counts


@dataclass(frozen=True)
class Measures:
    """One trial, measured. Requests and calls are those after the warm-up, by default."""

    record: TrialRecord
    gates: tuple[Gate, ...]
    requests: int
    body_bytes: float
    outcomes: dict[str, int]
    upstream_calls: int
    latency: dict[str, Latency]
    # Share and mean service time (ms) of each kind of request: hit, miss, other.
    kinds: dict[str, tuple[float, float]]
    # Time for which requests wait behind others on their arrival; None where it cannot be told.
    queueing_ms: float | None
    fills: Fills
    # Standard errors that the number of requests alone causes. None of the hit ratio: a block's trials
    # meet the same requests, which pairing takes out.
    sampling: dict[str, float]
    lag_mean_ms: float
    fill_s: float
    send_lag_p50_ms: float
    send_lag_p99_ms: float
    achieved_rate: float
    calls_by_second: Counts
    joined: bool

    @property
    def valid(self) -> bool:
        """Whether every gate was passed."""
        return all(gate.passed for gate in self.gates)

    def stands(self, kind: Kind) -> bool:
        """Whether the trial's counts, or its times, can be believed."""
        return stands(self.gates, kind)

    def reasons(self, kind: Kind | None = None) -> list[str]:
        """Say why its counts or times cannot be believed; without a kind, why either cannot."""
        return reasons(self.gates, kind)

    @property
    def calls_known(self) -> bool:
        """Whether upstream calls were counted, by whomever."""
        return self.record.upstream.known

    @property
    def calls_per_request(self) -> float | None:
        """Upstream calls per request; None where nobody counted them."""
        return self.upstream_calls / self.requests if self.calls_known else None

    @property
    def metrics(self) -> dict[str, float]:
        """The trial's value of each metric that it alone can tell (the reduction needs a baseline)."""
        every, calls, known = self.latency["all"], self.calls_per_request, self.record.load.outcomes_known
        values = {
            "p50_ms": every.quantiles_ms["p50"],
            "p90_ms": every.quantiles_ms["p90"],
            "p99_ms": every.quantiles_ms["p99"],
            "mean_ms": every.mean_ms,
            "hit_p50_ms": self.latency["hit"].quantiles_ms["p50"],
            "miss_p50_ms": self.latency["miss"].quantiles_ms["p50"],
            "hit_ratio": self.outcomes.get("hit", 0) / self.requests if known else None,
            "upstream_calls_per_1000": None if calls is None else 1000 * calls,
            "error_ratio": self.outcomes.get("error", 0) / self.requests,
        }
        return {name: value for name, value in values.items() if value is not None}


def measure(trial: StoredTrial, variant: Variant) -> Measures | None:
    """Read a trial's requests and reduce them; None where it holds none after the warm-up."""
    rows = trial.rows()
    record = trial.record
    begin_us = record.load.warmup_s * 1e6
    warm = rows["intended_us"] < begin_us
    measured = rows[~warm]
    if len(measured) == 0:
        return None
    latency_us = (measured["end_us"] - measured["intended_us"]).to_numpy()
    service_us = (measured["end_us"] - measured["sent_us"]).to_numpy()
    lag_us = (measured["sent_us"] - measured["intended_us"]).to_numpy()
    outcome = np.asarray(measured["outcome"], dtype=np.str_)
    calling = np.isin(outcome, CALLING)
    fill_s = float(service_us[calling].mean()) / 1e6 if calling.any() else 0.0
    joined = bool((rows["outcome"] == "delayed").any())
    span_us = record.load.duration_s * 1e6
    start: Start = "steady" if record.start == "steady" else "cold"
    tried = as_tried(variant)
    began = Beginning.of(tried, start, record.load.warmup_s + record.load.duration_s, record.seed)
    sent_in_window = rows["sent_us"].between(begin_us, begin_us + span_us, inclusive="left")
    return Measures(
        record=record,
        gates=tuple(gates(record, rows, variant)),
        requests=len(measured),
        body_bytes=float(measured["bytes"].mean()),
        outcomes={
            str(name): int(count) for name, count in zip(*np.unique(outcome, return_counts=True), strict=True)
        },
        upstream_calls=_calls(record, int(calling.sum()), warm, rows),
        latency={
            "all": _latency(latency_us),
            "hit": _latency(latency_us[outcome == "hit"]),
            "miss": _latency(latency_us[calling]),
        },
        kinds=_kinds(outcome, calling, service_us),
        queueing_ms=wait_ms(rows, ~warm.to_numpy()),
        fills=explain(rows, tried, fill_s, joined, ~warm.to_numpy(), record.evicted_keys, began),
        sampling=_sampling(latency_us),
        lag_mean_ms=float(lag_us.mean()) / 1000,
        fill_s=fill_s,
        send_lag_p50_ms=float(np.quantile(lag_us, 0.5)) / 1000,
        send_lag_p99_ms=float(np.quantile(lag_us, 0.99)) / 1000,
        achieved_rate=int(sent_in_window.sum()) / record.load.duration_s,
        calls_by_second=_calls_by_second(rows, record),
        joined=joined,
    )


def _calls(record: TrialRecord, calling: int, warm: pd.Series[bool], rows: pd.DataFrame) -> int:
    """Return the upstream calls after the warm-up: all of the trial's less those that its misses were.

    A service that is not ours may make any number of calls for a miss: there the measured time has the same
    share of the calls as of the misses, or of the requests where answers do not tell.
    """
    of_warmup = int(rows.loc[warm, "outcome"].isin(CALLING).sum())
    if record.upstream.counted_by != "url":
        return record.upstream.calls - of_warmup
    share = calling / (calling + of_warmup) if calling + of_warmup else float((~warm).mean())
    return round(record.upstream.calls * share)


def _latency(latency_us: NDArray[np.int64]) -> Latency:
    counts, _ = np.histogram(np.clip(latency_us, LOG_EDGES_US[0], LOG_EDGES_US[-1]), LOG_EDGES_US)
    quantiles: dict[str, float | None] = {}
    for name, at in QUANTILES.items():
        enough = latency_us.size * (1 - at) >= BEYOND - 1e-9
        quantiles[name] = float(np.quantile(latency_us, at)) / 1000 if enough else None
    mean_ms = float(latency_us.mean()) / 1000 if latency_us.size else None
    return Latency(int(latency_us.size), mean_ms, quantiles, counts)


def _kinds(
    outcome: NDArray[np.str_], calling: NDArray[np.bool_], service_us: NDArray[np.int64]
) -> dict[str, tuple[float, float]]:
    hit = outcome == "hit"
    found = {"hit": hit, "miss": calling, "other": ~hit & ~calling}
    return {
        kind: (float(mask.mean()), float(service_us[mask].mean()) / 1000)
        for kind, mask in found.items()
        if mask.any()
    }


def _sampling(latency_us: NDArray[np.int64]) -> dict[str, float]:
    return {
        "p50_ms": quantile_error(latency_us, 0.5) / 1000,
        "p99_ms": quantile_error(latency_us, 0.99) / 1000,
    }


def _calls_by_second(rows: pd.DataFrame, record: TrialRecord) -> Counts:
    """Count the upstream calls of each whole second since the cold start, by when they were asked for."""
    seconds = int(record.load.warmup_s + record.load.duration_s)
    asked = rows.loc[rows["outcome"].isin(CALLING), "sent_us"].to_numpy() // 1_000_000
    return np.bincount(asked[(asked >= 0) & (asked < seconds)].astype(np.int64), minlength=seconds)
