"""An ideal cache in the app's place: `python tests/benchmarks/replay.py FOLDER`, after `live.py run FOLDER`.

Upstream calls that are not the expected ones are the app's fault, theory's or the dice's. The requests of
each stored A/A trial are replayed against a cache that knows no delay but the fill: whatever the app did
otherwise shows. And many trials are drawn as the bench draws them, and replayed: whatever is wrong with
theory shows.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

import reports
from loadtests.keys import requests
from reports import stored, theory
from scenarios import plan
from scenarios.model import Scenario, Variant

DRAWN = 20_000
FIRST_SEED = 100_000

Request = tuple[int, int, int]  # when (µs), which key, of which replica


def ideal_calls(asked: Iterable[Request], variant: Variant, fill_s: float) -> int:
    """Count the upstream calls of an ideal cache: misses of a replica are joined, copies last for the TTL."""
    fill_us, ttl_us = fill_s * 1e6, variant.cache.ttl * 1e6
    landing: dict[tuple[int, int], list[float]] = {}
    expiry: dict[tuple[int, int], float] = {}
    under_way: dict[tuple[int, int], float] = {}
    calls = 0
    for at_us, key, replica in asked:
        place = (key, 0 if variant.topology == "separate" else replica)
        landed = landing.setdefault(place, [])
        while landed and landed[0] <= at_us:
            expiry[place] = landed.pop(0) + ttl_us
        if expiry.get(place, -1.0) > at_us or under_way.get((key, replica), -1.0) > at_us:
            continue
        calls += 1
        under_way[key, replica] = at_us + fill_us
        landed.append(at_us + fill_us)
    return calls


def stored_trials(runs: Iterable[Path]) -> None:
    """Print how the calls of one valid trial a block differ from an ideal cache's, on the same requests."""
    differences: dict[str, list[int]] = {}
    for folder in runs:
        told = reports.summarize(folder)
        calls = {(one.id, one.attempt): one.upstream_calls for one in told.trials if one.valid}
        run, blocks = stored.read(folder), set[int]()
        for trial in run.trials:
            record = trial.record
            if (record.id, record.attempt) not in calls or record.block in blocks:
                continue
            blocks.add(record.block)
            rows = trial.rows().sort_values("sent_us")
            missed = rows[rows["outcome"] == "miss"]
            fill_s = float((missed["end_us"] - missed["sent_us"]).mean()) / 1e6
            variant = run.record.scenario.variant(record.variant)
            asked = zip(rows["sent_us"], rows["key"], rows["replica"], strict=True)
            off = calls[record.id, record.attempt] - ideal_calls(asked, variant, fill_s)
            differences.setdefault(variant.topology, []).append(off)
    for topology, each in differences.items():
        same = sum(off == 0 for off in each)
        print(f"{topology}: as an ideal cache's in {same} of {len(each)} trials, {sum(each):+} calls in all")


def drawn_trials(scenario: Scenario) -> None:
    """Print the z-scores of an ideal cache's calls over many drawn trials."""
    variant = scenario.variants[0]
    span_s = scenario.schedule.warmup + scenario.schedule.duration
    fill_s = variant.upstream.latency_ms / 1000
    expected = theory.of_variant(variant, (0.0, span_s), fill_s, joined=True)
    assert expected is not None
    assert expected.calls_error is not None
    scores = []
    for seed in range(FIRST_SEED, FIRST_SEED + DRAWN):
        trial = plan.block(scenario.model_copy(update={"seed": seed}), 1)[0]
        laid = requests(variant.workload, variant.replicas, span_s, trial.seed)
        asked = zip(laid.at_us.tolist(), laid.keys.tolist(), laid.replicas.tolist(), strict=True)
        scores.append((ideal_calls(asked, variant, fill_s) - expected.calls) / expected.calls_error)
    error = statistics.stdev(scores) / DRAWN**0.5
    print(
        f"{variant.topology}: z over {DRAWN:,} drawn trials {statistics.mean(scores):+.3f} ± {error:.3f}, "
        f"standard deviation {statistics.stdev(scores):.3f}"
    )


if __name__ == "__main__":
    folders = sorted(path.parent for path in Path(sys.argv[1]).glob("aa/*/*/run.json"))
    stored_trials(folders)
    for first in folders[:2]:
        drawn_trials(stored.read(first).record.scenario)
