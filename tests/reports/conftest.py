"""Runs made up for the tests: real caches are simulated request by request, latencies are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.stored.records import RunRecord, StackChoice, TrialRecord
from scenarios import plan
from scenarios.facts import AppFacts, LinkFacts, LoadFacts, MachineFacts, UpstreamFacts, UsageFacts
from scenarios.model import Scenario, Variant
from scenarios.plan import Trial
from scenarios.reading.document import Document, build
from scenarios.schedule import Start
from simulation import start as beginning
from traffic.keys import requests as drawn

FIELDS: dict[str, Any] = {
    "name": "made-up",
    "seed": 7,
    "topology": ["sidecar", "separate"],
    "replicas": 2,
    "workload": {"rate": 200, "keys": {"count": 400}},
    "cache": {"ttl": 3},
    "upstream": {"latency_ms": 20},
    "link": {"rtt_ms": 0.3},
    "schedule": {"warmup": 1, "duration": 6, "blocks": 5},
}


def scenario_of(**fields: Any) -> Scenario:
    """Return a scenario, changed in the fields given; its trials start cold by default."""
    changed = {**FIELDS, **fields}
    changed["schedule"] = {"start": "cold", **changed["schedule"]}
    return build(Document("made-up.yaml", changed))


@dataclass(frozen=True)
class MadeUp:
    """Writes a run's folder as `bench` would."""

    root: Path

    def __call__(self, change: Callable[[TrialRecord], TrialRecord] | None = None, **fields: Any) -> Path:
        """Write a run of a scenario; `change` may spoil each trial's record."""
        scenario = scenario_of(**fields)
        folder = self.root / "20260131-154500-made-up"
        (folder / "trials").mkdir(parents=True)
        record = RunRecord(
            run_id=folder.name,
            scenario=scenario,
            command=["sidecar-bench", "run", "quick"],
            started="2026-01-31T15:45:00+00:00",
            stack=StackChoice(name="processes", reason="no Docker engine answers"),
            environment={
                "cpu": "AMD EPYC 7763 64-Core Processor",
                "cores": 2,
                "memory_gib": 7.8,
                "system": "Linux 6.1.0",
                "distribution": "Debian GNU/Linux 12 (bookworm)",
                "clock": "tsc",
                "python": "3.11.2",
                "versions": {"redis": "8.1.0", "fastapi": "0.165.0"},
            },
        )
        (folder / "run.json").write_text(record.model_dump_json(indent=2))
        for block in plan.blocks(scenario):
            for trial in block:
                _write_trial(folder / "trials" / trial.id, trial, scenario, change)
        return folder


@pytest.fixture
def made_up(tmp_path: Path) -> MadeUp:
    """A builder of runs in a folder of the test's own."""
    return MadeUp(tmp_path)


@pytest.fixture(name="scenario_of")
def _scenario_of() -> Callable[..., Scenario]:
    """The maker of scenarios, for tests that need no run."""
    return scenario_of


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden run: sidecar and separate, five blocks. Tests do not write into it."""
    return MadeUp(tmp_path_factory.mktemp("quick"))()


def _write_trial(
    folder: Path, trial: Trial, scenario: Scenario, change: Callable[[TrialRecord], TrialRecord] | None
) -> None:
    variant = scenario.variant(trial.variant)
    schedule = scenario.schedule
    rows = requests(variant, schedule.warmup + schedule.duration, trial.seed, trial.block, schedule.start)
    folder.mkdir()
    rows.to_parquet(folder / "requests.parquet", index=False)
    record = record_of(trial, variant, rows, schedule.warmup, schedule.duration)
    record = record.model_copy(update={"start": schedule.start})
    record = change(record) if change else record
    (folder / "trial.json").write_text(record.model_dump_json(indent=2))


def requests(
    variant: Variant, until_s: float, seed: int, block: int = 1, start: Start = "cold"
) -> pd.DataFrame:
    """Return the rows of one trial; a fill takes the upstream's latency, concurrent misses each call."""
    noise = np.random.default_rng([seed, sum(variant.id.encode())])
    held: dict[tuple[int, int], Any] = {}
    if start == "steady":
        intended, keys, replica, held = _steady(variant, until_s, seed)
    else:
        intended, keys, replica = _cold(variant, until_s, seed)
    count = len(intended)
    fill_s = variant.upstream.latency_ms / 1000
    hits = _hits(variant, intended, keys, replica, fill_s, held)
    hop_s = variant.link.rtt_ms / 1000 if variant.topology == "separate" else 0.03e-3
    speed = noise.lognormal(0, 0.05)
    service = 0.6e-3 * speed * noise.lognormal(0, 0.35, count) + hop_s
    service += np.where(hits, 0, fill_s * noise.lognormal(0, 0.08, count) + hop_s)
    lag = noise.gamma(2, 0.05e-3, count)
    sent = intended + lag
    return pd.DataFrame(
        {
            "intended_us": (intended * 1e6).astype(np.int64),
            "sent_us": (sent * 1e6).astype(np.int64),
            "end_us": ((sent + service) * 1e6).astype(np.int64),
            "status": np.full(count, 200, np.int16),
            "outcome": pd.Categorical(
                np.where(hits, "hit", "bypass" if variant.topology == "none" else "miss")
            ),
            "replica": replica.astype(np.int16),
            "key": keys.astype(np.int32),
            "bytes": np.full(count, 4096, np.int32),
        }
    )


def _cold(variant: Variant, until_s: float, seed: int) -> tuple[Any, Any, Any]:
    """Draw times, keys and replicas."""
    traffic, workload = np.random.default_rng(seed), variant.workload
    count = traffic.poisson(workload.rate * until_s)
    intended = np.sort(traffic.uniform(0, until_s, count))
    weights = np.arange(1, workload.keys.count + 1) ** -float(workload.keys.exponent)
    keys = traffic.choice(workload.keys.count, count, p=weights / weights.sum())
    return intended, keys, traffic.integers(variant.replicas, size=count)


def _steady(variant: Variant, until_s: float, seed: int) -> tuple[Any, Any, Any, dict[tuple[int, int], Any]]:
    """Draw what the bench would, and what the caches hold: by key and cache, since and until when."""
    asked = drawn(variant.workload, variant.replicas, until_s, seed)
    contents = beginning.steady(variant, asked, seed, lambda _: False)
    places = zip(contents.keys.tolist(), contents.caches.tolist(), strict=True)
    held = {
        place: [(0.0, at_us / 1e6)] for place, at_us in zip(places, contents.expires_us.tolist(), strict=True)
    }
    return asked.at_us / 1e6, asked.keys, asked.replicas, held


def _hits(
    variant: Variant, times: Any, asked: Any, replica: Any, fill_s: float, held: dict[tuple[int, int], Any]
) -> Any:
    if variant.topology == "none":
        return np.zeros(len(times), bool)
    hits = []
    for time, key, at in zip(times, asked, replica, strict=True):
        cached = held.setdefault((key, at if variant.topology == "sidecar" else 0), [])
        hit = any(since <= time < until for since, until in cached[-200:])
        if not hit:
            cached.append((time + fill_s, time + fill_s + variant.cache.ttl))
        hits.append(hit)
    return np.array(hits)


def under_way(rows: pd.DataFrame, begin_us: float, end_us: float) -> float:
    """Return how many requests were under way at once, on average over a window."""
    took_us = rows["end_us"].clip(begin_us, end_us) - rows["sent_us"].clip(begin_us, end_us)
    return float(took_us.sum()) / (end_us - begin_us)


def record_of(
    trial: Trial, variant: Variant, rows: pd.DataFrame, warmup_s: float, duration_s: float
) -> TrialRecord:
    """Return the record of a trial in which nothing went wrong."""
    outcomes = {str(word): int(count) for word, count in Counter(rows["outcome"]).items()}
    calls = outcomes.get("miss", 0) + outcomes.get("bypass", 0)
    configured = variant.link.rtt_ms if variant.topology == "separate" else None
    achieved = (configured or 0.03) * (1 + 0.01 * (trial.block % 3))
    link = LinkFacts(
        means="relay" if configured else "loopback",
        configured_ms=configured,
        achieved_ms=achieved,
        achieved_p99_ms=achieved * 1.4,
        after_ms=achieved * 1.02,
        floor_ms=0.15 if configured else None,
        samples=200,
    )
    redis = (
        ["redis"] if variant.topology == "separate" else [f"redis-{n + 1}" for n in range(variant.replicas)]
    )
    names = [f"app-{n + 1}" for n in range(variant.replicas)] + (redis if variant.topology != "none" else [])
    return TrialRecord(
        id=trial.id,
        variant=variant.id,
        block=trial.block,
        seed=trial.seed,
        started=f"2026-01-31T15:{45 + trial.block:02d}:00+00:00",
        up_s=1.9,
        down_s=0.2,
        link=link if variant.topology != "none" else None,
        load=LoadFacts(
            offered=len(rows), requests=len(rows), outcomes=outcomes, warmup_s=warmup_s,
            duration_s=duration_s, most_users=9, cpu_ratio=0.11,
            under_way=under_way(rows, warmup_s * 1e6, (warmup_s + duration_s) * 1e6),
        ),
        app=AppFacts(outcomes=outcomes, upstream_calls=calls),
        upstream=UpstreamFacts(calls=calls, by_status={"200": calls}),
        machine=MachineFacts(
            stolen_ratio=0.002,
            busy_ratio=0.4,
            load_average=0.8,
            clock_step_s=0.0001,
            waiting_ratio=0.08,
            throttled_ratio=0.0,
        ),
        usage=[
            UsageFacts(name=name, cpu_s=1.1 if "app" in name else 0.2, memory_bytes=60_000_000)
            for name in names
        ],
    )  # fmt: skip
