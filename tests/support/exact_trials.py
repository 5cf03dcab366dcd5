"""Whether each request of stored trials had the outcome that the exact simulation of the same requests has.

The simulation begins with what the trial's caches were filled with, takes the requests at the times at which
they were sent, to the replicas to which they went, and fills in the trial's own median time. What differs is
at the edges: a request that comes as a copy expires, or as a call lands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from loadtests.upstream import is_missing
from reports.stored import runs
from scenarios.model import Scenario
from scenarios.tried import as_tried
from simulation import start
from simulation.engine import Contents, Trace, replay
from simulation.lifetimes import stored_us
from simulation.outcomes import DELAYED, HIT, MISS
from simulation.variants import behaviour_of
from traffic.keys import requests
from traffic.logs.handing import FOLDER, with_stored_log

REFUSED: Final = 400
WORDS: Final = {"hit": HIT, "miss": MISS, "delayed": DELAYED}


@dataclass(frozen=True)
class Compared:
    """A trial beside its simulation."""

    trial: str
    variant: str
    requests: int
    differ: int
    hits: tuple[int, int]
    """Of the trial, and of the simulation."""

    @property
    def share(self) -> float:
        """The share of requests that had another outcome."""
        return self.differ / max(self.requests, 1)


def compare(folder: Path) -> Iterator[Compared]:
    """Compare each trial of a run with the simulation of its requests."""
    run = runs.read(folder)
    for trial in run.trials:
        if trial.record.fault is None:
            yield _compared(folder, run.record.scenario, trial)


def _compared(folder: Path, scenario: Scenario, trial: runs.StoredTrial) -> Compared:
    record, rows = trial.record, trial.rows()
    variant = with_stored_log(as_tried(scenario.variant(record.variant)), folder / FOLDER)
    span_s = scenario.schedule.warmup + scenario.schedule.duration
    asked = requests(variant.workload, variant.replicas, span_s, record.seed)
    assert asked.keys.tolist() == rows["key"].tolist(), "the seed gives the same requests"
    contents = Contents.none()
    if record.start == "steady":
        contents = start.steady(
            variant, asked, record.seed,
            lambda path: is_missing(path.removeprefix("/"), record.seed, variant.upstream.missing_ratio),
        )  # fmt: skip
    took_us = (rows["end_us"] - rows["sent_us"])[rows["outcome"] == "miss"]
    fill_s = float(took_us.median()) / 1e6 if len(took_us) else None
    order = np.argsort(rows["sent_us"].to_numpy(), kind="stable")
    lifetimes_us = None
    if asked.statuses is not None:
        lifetimes_us = stored_us(asked.statuses, variant.cache)[order]
    trace = Trace(rows["sent_us"].to_numpy()[order], asked.keys[order], asked.replicas[order], lifetimes_us)
    simulated = replay(trace, behaviour_of(variant, fill_s), variant.replicas, contents)
    seen = np.array([WORDS.get(word, -1) for word in rows["outcome"]])[order]
    # What failed was no hit: the call that it made, or waited for, came to nothing.
    failed = (rows["outcome"] == "error").to_numpy()[order]
    # What the app refuses by rule never comes to a cache, and the simulation knows no rule.
    asked_cache = ~(failed & (rows["status"] == REFUSED).to_numpy()[order])
    differ = np.where(failed, simulated == HIT, seen != simulated) & asked_cache
    hits = int((seen == HIT).sum()), int(((simulated == HIT) & asked_cache).sum())
    return Compared(record.id, record.variant, int(asked_cache.sum()), int(differ.sum()), hits)
