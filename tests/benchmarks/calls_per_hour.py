"""Upstream calls per hour from short trials: steady and cold starts, and the coverage of intervals.

`python tests/benchmarks/calls_per_hour.py` prints the tables of docs/trust.md. Trials are those of `quick`
with six replicas at 300 requests/s, 20 s long, drawn as the bench draws them and replayed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports import theory
from reports.calls.counting import garwood, per_hour
from reports.statistics import estimates
from scenarios.model import Variant
from scenarios.reading import document
from simulation import start
from simulation.engine import Contents, Trace, replay
from simulation.outcomes import HIT, MISS
from simulation.variants import behaviour_of
from traffic.keys import requests

SPAN_S = 20.0
STARTS = 60
TRIALS = 3000
TTLS_S = (2, 60, 3600)


def trial(variant: Variant, seed: int, kind: str) -> tuple[int, float]:
    """Return the upstream calls and the hit ratio of one trial."""
    asked = requests(variant.workload, variant.replicas, SPAN_S, seed)
    steady = kind == "steady"
    held = start.steady(variant, asked, seed, lambda _: False) if steady else Contents.none()
    trace = Trace(asked.at_us, asked.keys, asked.replicas)
    outcomes = replay(trace, behaviour_of(variant), variant.replicas, held)
    return int((outcomes == MISS).sum()), float((outcomes == HIT).mean())


def share_held(counts: Sequence[int], blocks: int, truth: float, method: str) -> float:
    """Return how often the intervals of runs of so many blocks hold the true calls per hour."""
    hours, held = SPAN_S / 3600, []
    for begin in range(0, len(counts) - blocks + 1, blocks):
        run = counts[begin : begin + blocks]
        estimate = estimates.mean([count / hours for count in run])
        found = per_hour(run, [hours] * blocks)
        assert estimate is not None
        assert found is not None
        ends = {
            "student": estimate.interval(),
            "garwood": tuple(end / (hours * blocks) for end in garwood(sum(run))),
            "ours": found.ci95,
        }[method]
        assert ends is not None
        held.append(ends[0] <= truth <= ends[1])
    return float(np.mean(held))


def main() -> None:
    """Print both tables."""
    variants = [
        variant
        for ttl in TTLS_S
        for variant in document.load(
            "quick", {"cache.ttl": ttl, "replicas": 6, "workload.rate": 300}
        ).variants
    ]
    print("| TTL | topology | in the long run | steady start | cold start |")
    for variant in variants:
        long_run = theory.steady_of(variant)
        assert long_run is not None
        ratios = {
            kind: np.array([trial(variant, seed, kind)[1] for seed in range(STARTS)])
            for kind in ("steady", "cold")
        }
        cells = [f"{each.mean():.2%} ± {each.std(ddof=1) / STARTS**0.5:.2%}" for each in ratios.values()]
        named = f"{variant.cache.ttl:g} s | {variant.topology} | {long_run.hit_ratio:.2%}"
        print(f"| {named} | {' | '.join(cells)} |")
    print("| TTL | topology | calls/h | a trial | mean | blocks | student | garwood | ours |")
    for variant in variants:
        long_run = theory.steady_of(variant)
        assert long_run is not None
        truth = long_run.calls * 3600
        counts = [trial(variant, 1000 + seed, "steady")[0] for seed in range(TRIALS)]
        named = f"{variant.cache.ttl:g} s | {variant.topology} | {truth:,.0f} | {truth * SPAN_S / 3600:,.1f}"
        mean = np.mean(counts) * 3600 / SPAN_S
        for blocks in (3, 5):
            shares = [share_held(counts, blocks, truth, method) for method in ("student", "garwood", "ours")]
            cells = " | ".join(f"{share:.1%}" for share in shares)
            print(f"| {named} | {mean:,.0f} | {blocks} | {cells} |")


if __name__ == "__main__":
    main()
