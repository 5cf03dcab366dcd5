"""Rows of requests, reduced to figures for each window of time: how a trial was before, during and after."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from reports.stored.records import TrialRecord
from scenarios.outcomes import CALLING

# A percentile is told only where so many requests lie beyond it, as in `reports.trial.measures`.
_BEYOND: Final = 10


@dataclass(frozen=True)
class Window:
    """The requests that were due from one moment (included) to another (excluded), in µs of the load's clock.

    Latencies count from the intended send, in ms; None where there are too few requests to tell. `calls` are
    the requests that took an upstream call.
    """

    begin_us: int
    end_us: int
    requests: int
    outcomes: dict[str, int]
    calls: int
    mean_ms: float | None
    p50_ms: float | None
    p99_ms: float | None

    @property
    def hit_ratio(self) -> float | None:
        """Hits over requests; None where there were no requests."""
        return self.outcomes.get("hit", 0) / self.requests if self.requests else None

    @property
    def error_ratio(self) -> float | None:
        """Failed requests over requests; None where there were no requests."""
        return self.outcomes.get("error", 0) / self.requests if self.requests else None


def windows(rows: pd.DataFrame, edges_us: Sequence[int]) -> list[Window]:
    """Return figures for the windows between neighbouring edges; rows outside of them are left out.

    Raises:
        ValueError: the edges are not in ascending order.
    """
    if any(begin > end for begin, end in itertools.pairwise(edges_us)):
        raise ValueError(f"edges have to ascend: {list(edges_us)}")
    due_us = rows["intended_us"].to_numpy()
    return [
        _window(rows[(due_us >= begin) & (due_us < end)], begin, end)
        for begin, end in itertools.pairwise(edges_us)
    ]


def edges(record: TrialRecord) -> list[int]:
    """Return the edges that a timeline makes: the measured time, cut wherever something began or ended.

    Without anything in its timeline that is one window.
    """
    begin_us = round(record.load.warmup_s * 1e6)
    end_us = begin_us + round(record.load.duration_s * 1e6)
    moments = {at for done in record.timeline for at in (done.begun_us, done.done_us) if at is not None}
    return [begin_us, *sorted(at for at in moments if begin_us < at < end_us), end_us]


def _window(rows: pd.DataFrame, begin_us: int, end_us: int) -> Window:
    latency_us = (rows["end_us"] - rows["intended_us"]).to_numpy()
    words, counts = np.unique(rows["outcome"].to_numpy(dtype=np.str_), return_counts=True)
    outcomes = {str(word): int(count) for word, count in zip(words, counts, strict=True)}
    return Window(
        begin_us=begin_us,
        end_us=end_us,
        requests=len(rows),
        outcomes=outcomes,
        calls=sum(outcomes.get(word, 0) for word in CALLING),
        mean_ms=float(latency_us.mean()) / 1000 if latency_us.size else None,
        p50_ms=_quantile_ms(latency_us, 0.5),
        p99_ms=_quantile_ms(latency_us, 0.99),
    )


def _quantile_ms(latency_us: np.ndarray, at: float) -> float | None:
    if latency_us.size * (1 - at) < _BEYOND - 1e-9:
        return None
    return float(np.quantile(latency_us, at)) / 1000
