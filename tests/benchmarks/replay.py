"""An ideal cache in the app's place, after `live.py run FOLDER`.

    PYTHONPATH=tests/support python tests/benchmarks/replay.py FOLDER

Upstream calls that are not the expected ones are the app's fault, theory's or the dice's. The requests of
each stored A/A trial are replayed against a cache that knows no delay but the fill, and that holds at the
start what the trial's caches held: whatever the app did otherwise shows. And many trials are drawn as the
bench draws them, and replayed: whatever is wrong with theory shows.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

import ideal_cache

import reports
from reports import theory
from reports.stored import runs
from reports.theory import Caches
from scenarios import plan
from scenarios.model import Scenario, Variant
from simulation import start
from traffic.keys import Requests, requests

DRAWN = 20_000
FIRST_SEED = 100_000
Held = dict[tuple[int, int], float]


def ideal_calls(
    us: Iterable[tuple[int, int, int]],
    variant: Variant,
    fill_s: float,
    held_s: Held,
) -> int:
    """Count an ideal cache's calls in a variant's place; of requests: when (µs), which key, which replica."""
    shared = variant.topology == "separate"
    caches = Caches(variant.cache.ttl, variant.replicas, shared, fill_s, joined=variant.cache.single_flight)
    return ideal_cache.asked(((at_us / 1e6, key, replica) for at_us, key, replica in us), caches, held_s)[0]


def held_until_s(scenario: Scenario, variant: Variant, asked: Requests, seed: int) -> Held:
    """Return until when copies last that a trial's caches hold at its start, by key and cache."""
    if scenario.schedule.start == "cold":
        return {}
    held = start.steady(variant, asked, seed, lambda _: False)
    places = zip(held.keys.tolist(), held.caches.tolist(), strict=True)
    return dict(zip(places, (held.expires_us / 1e6).tolist(), strict=True))


def stored_trials(runs: Iterable[Path]) -> None:
    """Print how the calls of one valid trial a block differ from an ideal cache's, on the same requests."""
    differences: dict[str, list[int]] = {}
    for folder in runs:
        told = reports.summarize(folder)
        calls = {(one.id, one.attempt): one.upstream_calls for one in told.trials if one.valid}
        run, blocks = runs.read(folder), set[int]()
        for trial in run.trials:
            record = trial.record
            if (record.id, record.attempt) not in calls or record.block in blocks:
                continue
            blocks.add(record.block)
            rows = trial.rows().sort_values("sent_us")
            missed = rows[rows["outcome"] == "miss"]
            fill_s = float((missed["end_us"] - missed["sent_us"]).mean()) / 1e6
            variant = run.record.scenario.variant(record.variant)
            laid = requests(variant.workload, variant.replicas, span_of(run.record.scenario), record.seed)
            held_s = held_until_s(run.record.scenario, variant, laid, record.seed)
            asked = zip(rows["sent_us"], rows["key"], rows["replica"], strict=True)
            off = calls[record.id, record.attempt] - ideal_calls(asked, variant, fill_s, held_s)
            differences.setdefault(variant.topology, []).append(off)
    for topology, each in differences.items():
        same = sum(off == 0 for off in each)
        print(f"{topology}: as an ideal cache's in {same} of {len(each)} trials, {sum(each):+} calls in all")


def span_of(scenario: Scenario) -> float:
    """Return how long a trial is, in seconds."""
    return scenario.schedule.warmup + scenario.schedule.duration


def drawn_trials(scenario: Scenario) -> None:
    """Print the z-scores of an ideal cache's calls over many drawn trials."""
    variant = scenario.variants[0]
    span_s, fill_s = span_of(scenario), variant.upstream.latency_ms / 1000
    expected = theory.of_variant(variant, (0.0, span_s), fill_s, joined=True, start=scenario.schedule.start)
    assert expected is not None
    assert expected.calls_error is not None
    scores = []
    for seed in range(FIRST_SEED, FIRST_SEED + DRAWN):
        trial = plan.block(scenario.model_copy(update={"seed": seed}), 1)[0]
        laid = requests(variant.workload, variant.replicas, span_s, trial.seed)
        asked = zip(laid.at_us.tolist(), laid.keys.tolist(), laid.replicas.tolist(), strict=True)
        held_s = held_until_s(scenario, variant, laid, trial.seed)
        scores.append((ideal_calls(asked, variant, fill_s, held_s) - expected.calls) / expected.calls_error)
    error = statistics.stdev(scores) / DRAWN**0.5
    print(
        f"{variant.topology}: z over {DRAWN:,} drawn trials {statistics.mean(scores):+.3f} ± {error:.3f}, "
        f"standard deviation {statistics.stdev(scores):.3f}"
    )


if __name__ == "__main__":
    folders = sorted(path.parent for path in Path(sys.argv[1]).glob("aa/*/*/run.json"))
    stored_trials(folders)
    for first in folders[:2]:
        drawn_trials(runs.read(first).record.scenario)
