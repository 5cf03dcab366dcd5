"""A stored run against what is predicted for its own requests: each valid trial's hit ratio and mean latency.

Hits come from the engine: the trial's requests as they were sent, to the caches' contents at its start, with
fills as long as the trial's own median. The mean latency is put together from these outcomes and from what
hits and misses took in the variant's other trials, so that a trial does not predict itself.

A trial whose times cannot be believed is left out: on a busy machine fills take many times as long, each
another time, and then even hits are not those of the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.analysis.run import Analysis, analyse
from reports.stored.runs import StoredTrial
from reports.trial.measures import Measures
from reports.trial.misses import Beginning
from scenarios.model import Variant
from scenarios.schedule import Start
from scenarios.tried import as_tried
from simulation.engine import Trace, replay
from simulation.lifetimes import stored_us
from simulation.outcomes import DELAYED, HIT
from simulation.variants import behaviour_of

MOST_HITS: Final = 0.01  # of requests: one point
MOST_MEAN: Final = 0.10  # of the measured mean


@dataclass(frozen=True)
class Checked:
    """One trial: measured and predicted. Means in ms; None where nothing hit, or nothing missed."""

    trial: str
    variant: str
    hit_ratio: float
    predicted_hit_ratio: float
    mean_ms: float | None
    predicted_mean_ms: float | None

    @property
    def agrees(self) -> bool:
        """Whether the hit ratio is within a point, and the mean within 10%."""
        if abs(self.predicted_hit_ratio - self.hit_ratio) > MOST_HITS:
            return False
        if self.mean_ms is None or self.predicted_mean_ms is None:
            return True
        return abs(self.predicted_mean_ms - self.mean_ms) <= MOST_MEAN * self.mean_ms


@dataclass(frozen=True)
class Check:
    """What was compared, and what was not: variants or trials, with the reason."""

    trials: tuple[Checked, ...]
    left_out: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether every trial that was compared agrees with its prediction."""
        return all(trial.agrees for trial in self.trials)


def check(folder: Path) -> Check:
    """Compare the valid trials of a stored run with predictions.

    Raises:
        ResultsError: the run cannot be read, or holds no trial yet.
    """
    analysis = analyse(folder)
    stored = {trial.folder.name: trial for trial in analysis.run.trials}
    found, left_out = [], []
    for variant in analysis.scenario.variants:
        why = _why_not(variant, analysis)
        if why is not None:
            left_out.append(f"{variant.id}: {why}")
            continue
        timed = analysis.timed(variant.id)
        for trial in analysis.counted(variant.id):
            if trial not in timed:
                left_out.append(
                    f"{trial.record.id}: its times cannot be believed, nor how long its fills took"
                )
                continue
            others = [each for each in timed if each is not trial] or timed
            one = _checked(stored[trial.record.id], trial, variant, others)
            if one is None:
                left_out.append(f"{trial.record.id}: what its caches held at the start is not known")
            else:
                found.append(one)
    return Check(tuple(found), tuple(left_out))


def _why_not(variant: Variant, analysis: Analysis) -> str | None:
    """Say why the trials of a variant are not predicted; None where they are."""
    cache, upstream = variant.cache, variant.upstream
    if not analysis.deployed:
        return "it was running already, and its TTL and upstream are not known"
    if not variant.layout.cached:
        return "it has no cache"
    if cache.l1 or cache.stale_while_revalidate or cache.stale_if_error:
        return "a cache in front, or expired copies, answer some requests"
    if upstream.error_ratio or upstream.rate_limit is not None:
        return "the upstream fails, or its quota may be spent"
    if cache.ttl_jitter:
        return "its TTL varies at random"
    return None


def _checked(
    stored: StoredTrial, trial: Measures, variant: Variant, others: Sequence[Measures]
) -> Checked | None:
    rows = stored.rows().sort_values("sent_us", kind="stable")
    tried, load = as_tried(variant), trial.record.load
    start: Start = "steady" if trial.record.start == "steady" else "cold"
    began = Beginning.of(tried, start, load.warmup_s + load.duration_s, trial.record.seed)
    if began.own is None:
        return None
    trace = _trace(rows, tried)
    outcomes = replay(trace, behaviour_of(tried, _fill_s(rows)), tried.replicas, began.own)
    measured = (rows["intended_us"] >= load.warmup_s * 1e6).to_numpy()
    counted = outcomes[measured]
    hits, delayed = float((counted == HIT).mean()), float((counted == DELAYED).mean())
    return Checked(
        trial.record.id,
        variant.id,
        trial.outcomes.get("hit", 0) / trial.requests,
        hits,
        trial.latency["all"].mean_ms,
        _mean_ms(hits, delayed, others),
    )


def _fill_s(rows: pd.DataFrame) -> float:
    """Return how long the median request took that made a call; 0 where none did."""
    calling = rows["outcome"].isin(["miss", "bypass"])
    service_us = (rows["end_us"] - rows["sent_us"])[calling]
    return float(service_us.median()) / 1e6 if len(service_us) else 0.0


def _trace(rows: pd.DataFrame, variant: Variant) -> Trace:
    def column(name: str) -> NDArray[np.int64]:
        return rows[name].to_numpy().astype(np.int64)

    lifetimes_us = stored_us(column("status"), variant.cache)
    return Trace(column("sent_us"), column("key"), column("replica"), lifetimes_us)


def _mean_ms(hits: float, delayed: float, others: Sequence[Measures]) -> float | None:
    """Return the mean latency from shares of outcomes, and what hits and misses take on average."""
    hit_ms, miss_ms = (
        [each.latency[kind].mean_ms for each in others if each.latency[kind].requests]
        for kind in ("hit", "miss")
    )
    known = [[value for value in values if value is not None] for values in (hit_ms, miss_ms)]
    if not all(known):
        return None
    hit, miss = (float(np.mean(values)) for values in known)
    return hits * hit + delayed * (hit + miss / 2) + (1 - hits - delayed) * miss
