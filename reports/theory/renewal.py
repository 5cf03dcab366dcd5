"""The fills of one key at one cache as a renewal process: how many there are by a time.

A key requested at rate λ (per second, Poisson) at a cache with lifetime T (seconds, set at the fill) is
missed, filled, hit until it expires, and missed again at the next request. With D for the time from a fill's
first miss to the expiry, fills come at intervals of D plus an exponential gap. From a cold start the n-th
comes after n gaps and n − 1 times D:

    m(t) = E[N(t)] = Σ_{n≥1} P(Gamma(n, λ) ≤ t − (n − 1)·D),     in the long run: λ / (1 + λ·D) per second

A steady start is the cache of a long-running service at a random moment: it holds the key with probability
p = λH / (1 + λH), for a remaining time uniform on (0, H), where H is the time for which one fill serves. Then

    E[N(t)] = (1 − p)·m(t) + p/H · ∫ m(t − u) du  over u from 0 to H,

which is t·λ / (1 + λD) exactly, for any t, where H = D: the equilibrium renewal process (D. R. Cox, "Renewal
Theory", 1962). E[N²(t)] follows likewise. The integrals have a closed form:

    ∫₀ˣ P(Gamma(n, λ) ≤ s) ds = x·P(Gamma(n, λ) ≤ x) − n/λ · P(Gamma(n + 1, λ) ≤ x)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

Array = NDArray[np.float64]
_NEGLIGIBLE: Final = 1e-14


@dataclass(frozen=True)
class Renewals:
    """The number of fills by a time: mean and variance, for each rate."""

    mean: Array
    variance: Array


def renewals(rates: Array, dead_s: Array, until_s: float, held_s: float | None = None) -> Renewals:
    """Return mean and variance of the number of fills begun by a time (seconds after the start).

    `dead_s` is D for each rate. `held_s` is H, the time for which one fill serves, of a steady start; None: a
    cold start.
    """
    mean, square = _moments(rates, dead_s, until_s)
    if held_s is not None:
        held = rates * held_s / (1 + rates * held_s)
        areas = zip(_areas(rates, dead_s, until_s), _areas(rates, dead_s, until_s - held_s), strict=True)
        means, squares = ((until - before) / held_s for until, before in areas)
        mean, square = ((1 - held) * cold + held * late for cold, late in ((mean, means), (square, squares)))
    return Renewals(mean, np.maximum(square - mean**2, 0))


def _moments(rates: Array, dead_s: Array, until_s: float) -> tuple[Array, Array]:
    """Return E[N] = Σ P(S_n ≤ t) and E[N²] = Σ (2n − 1) P(S_n ≤ t) from a cold start."""
    mean, square = np.zeros_like(rates), np.zeros_like(rates)
    for n, at, _, reached in _terms(rates, dead_s, until_s):
        mean[at] += reached
        square[at] += (2 * n - 1) * reached
    return mean, square


def _areas(rates: Array, dead_s: Array, until_s: float) -> tuple[Array, Array]:
    """Return the integrals of both moments from 0 to a time."""
    mean, square = np.zeros_like(rates), np.zeros_like(rates)
    for n, at, free_s, reached in _terms(rates, dead_s, until_s):
        area = free_s * reached - n / rates[at] * gammainc(n + 1, rates[at] * free_s)
        mean[at] += area
        square[at] += (2 * n - 1) * area
    return mean, square


def _terms(
    rates: Array, dead_s: Array, until_s: float
) -> Iterator[tuple[int, NDArray[np.int64], Array, Array]]:
    """Yield n, the rates that can have n fills by a time, their t − (n − 1)·D, and P(S_n ≤ t).

    It ends by itself, as the dead times fill t; rates whose terms have become negligible are dropped on the
    way.
    """
    left, n = np.arange(rates.size), 1
    while left.size:
        free_s = until_s - (n - 1) * dead_s[left]
        left, free_s = left[free_s > 0], free_s[free_s > 0]
        reached: Array = gammainc(n, rates[left] * free_s)
        yield n, left, free_s, reached
        left = left[reached > _NEGLIGIBLE]
        n += 1
