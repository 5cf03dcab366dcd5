"""The fills of one key at one cache as a renewal process: how many there are by a time.

A key requested at rate λ (per second, Poisson) at a cache with lifetime T (seconds, set at the fill) is
missed, filled, hit until it expires, and missed again at the next request. With D for the time from a fill's
first miss to the expiry, fills come at intervals of D plus an exponential gap. From a cold start the n-th
comes after n gaps and n − 1 times D:

    m(t) = E[N(t)] = Σ_{n≥1} P(Gamma(n, λ) ≤ t − (n − 1)·D),     in the long run: λ / (1 + λ·D) per second

A steady start is a cache of a long-running service at a random moment: it holds the key with probability λD /
(1 + λD), for a remaining time uniform on (0, D). Fills are then an equilibrium renewal process (D. R. Cox,
"Renewal Theory", 1962) of mean interval μ = D + 1/λ:

    E[N(t)] = t/μ exactly, for any t,     Var[N(t)] = t/μ + 2/μ · ∫₀ᵗ m(u − D) du − (t/μ)²

where m(u − D) are the fills within u after one. Its integral has a closed form:

    ∫₀ˣ P(Gamma(n, λ) ≤ s) ds = x·P(Gamma(n, λ) ≤ x) − n/λ · P(Gamma(n + 1, λ) ≤ x)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from scenarios.schedule import Start

Array = NDArray[np.float64]
_NEGLIGIBLE: Final = 1e-14


@dataclass(frozen=True)
class Renewals:
    """The number of fills by a time: mean and variance, for each rate."""

    mean: Array
    variance: Array


def renewals(rates: Array, dead_s: Array, until_s: float, start: Start = "cold") -> Renewals:
    """Return mean and variance of the number of fills begun by a time (seconds after the start), for each
    rate.

    `dead_s` is D, the time for which one fill serves.
    """
    if start == "steady":
        per_s, until_s = rates / (1 + rates * dead_s), max(until_s, 0.0)
        mean = until_s * per_s
        square = mean + 2 * per_s * _area(rates, dead_s, until_s - dead_s)
    else:
        mean, square = _moments(rates, dead_s, until_s)
    return Renewals(mean, np.maximum(square - mean**2, 0))


def _moments(rates: Array, dead_s: Array, until_s: float) -> tuple[Array, Array]:
    """Return E[N] = Σ P(S_n ≤ t) and E[N²] = Σ (2n − 1) P(S_n ≤ t) from a cold start."""
    mean, square = np.zeros_like(rates), np.zeros_like(rates)
    for n, at, _, reached in _terms(rates, dead_s, np.full_like(rates, until_s)):
        mean[at] += reached
        square[at] += (2 * n - 1) * reached
    return mean, square


def _area(rates: Array, dead_s: Array, until_s: Array) -> Array:
    """Return the integral of E[N] from a cold start, from 0 to a time for each rate."""
    area = np.zeros_like(rates)
    for n, at, free_s, reached in _terms(rates, dead_s, until_s):
        area[at] += free_s * reached - n / rates[at] * gammainc(n + 1, rates[at] * free_s)
    return area


def _terms(
    rates: Array, dead_s: Array, until_s: Array
) -> Iterator[tuple[int, NDArray[np.int64], Array, Array]]:
    """Yield n, the rates that can have n fills by a time, their t − (n − 1)·D, and P(S_n ≤ t).

    It ends by itself, as the dead times fill t; rates whose terms have become negligible are dropped on the
    way.
    """
    left, n = np.arange(rates.size), 1
    while left.size:
        free_s = until_s[left] - (n - 1) * dead_s[left]
        left, free_s = left[free_s > 0], free_s[free_s > 0]
        reached: Array = gammainc(n, rates[left] * free_s)
        yield n, left, free_s, reached
        left = left[reached > _NEGLIGIBLE]
        n += 1
