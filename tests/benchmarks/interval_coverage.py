"""How often 95% intervals over few blocks cover the truth: Student's t against two bootstraps.

`python tests/benchmarks/interval_coverage.py` prints the table of docs/statistics.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RUNS = 20_000
RESAMPLES = 1000
SIGMA = 0.5
Samples = NDArray[np.float64]


def students(samples: Samples) -> tuple[Samples, Samples]:
    """Return both ends of Student's intervals, one a row."""
    blocks = samples.shape[1]
    half = stats.t.ppf(0.975, blocks - 1) * samples.std(axis=1, ddof=1) / np.sqrt(blocks)
    return samples.mean(axis=1) - half, samples.mean(axis=1) + half


def bootstrapped(samples: Samples, random: np.random.Generator, corrected: bool) -> tuple[Samples, Samples]:
    """Return both ends of percentile or bias-corrected, accelerated (BCa) bootstrap intervals."""
    blocks = samples.shape[1]
    weights = random.multinomial(blocks, [1 / blocks] * blocks, RESAMPLES) / blocks
    means = np.sort(samples @ weights.T, axis=1)
    ends = np.tile([0.025, 0.975], (len(samples), 1))
    if corrected:
        ends = _corrected(samples, means)
    at = np.clip((ends * RESAMPLES).astype(int), 0, RESAMPLES - 1)
    rows = np.arange(len(samples))
    return means[rows, at[:, 0]], means[rows, at[:, 1]]


def _corrected(samples: Samples, means: Samples) -> Samples:
    """B. Efron, "Better bootstrap confidence intervals", JASA 82, 1987."""
    below = np.clip((means < samples.mean(axis=1, keepdims=True)).mean(axis=1), 1e-3, 1 - 1e-3)
    bias = stats.norm.ppf(below)[:, None]
    left = samples.mean(axis=1, keepdims=True) - samples
    acceleration = ((left**3).sum(axis=1) / (6 * (left**2).sum(axis=1) ** 1.5))[:, None]
    z = stats.norm.ppf([0.025, 0.975])[None, :] + bias
    corrected: Samples = stats.norm.cdf(bias + z / (1 - acceleration * z))
    return corrected


def main() -> None:
    """Print the table."""
    random = np.random.default_rng(1)
    for blocks in (3, 5, 10, 20):
        cells = []
        draws = {
            0.0: random.normal(0, 1, (RUNS, blocks)),
            float(np.exp(SIGMA**2 / 2)): random.lognormal(0, SIGMA, (RUNS, blocks)),
        }
        for method in ("t", "percentile", "BCa"):
            for truth, samples in draws.items():
                low, high = (
                    students(samples) if method == "t" else bootstrapped(samples, random, method == "BCa")
                )
                cells.append(f"{((low <= truth) & (truth <= high)).mean():.1%}")
        print(f"| {blocks} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
