"""Looking more than once without finding more than there is: an alpha-spending plan.

A run that adds blocks until its comparisons are decided looks at its data again and again. At 95% each
time, identical systems would be found different far more often than once in twenty. The plan fixes
beforehand after which blocks to look, and spends the 5% over these looks:

    spent by the share t of the most blocks:  α(t) = α·t²

(D. L. DeMets, K. K. G. Lan, "Interim analysis: the alpha spending function approach", Statistics in
Medicine 13, 1994; the power family of K. Kim, D. L. DeMets, Biometrika 74, 1987). The boundaries follow
by recursive integration (P. Armitage, C. K. McPherson, B. C. Rowe, JRSS A 132, 1969) and are used as
significance levels of Student's t at each look (C. Jennison, B. W. Turnbull, "Group Sequential Methods",
2000, sections 3.8 and 7.2). `tests/reports/test_experiments.py` measures what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

ALPHA: Final = 0.05
_GROWTH: Final = 1.4
_GRID: Final = 501
Array = NDArray[np.float64]


def power(share: float) -> float:
    """Return the error spent by a share of the most blocks: α·t²."""
    return ALPHA * min(share, 1.0) ** 2


def looks(blocks: int, most: int | None) -> tuple[int, ...]:
    """Return after how many blocks a run may be judged: at its least, then every 40% more, at its most."""
    plan = [blocks]
    while most is not None and plan[-1] < most:
        plan.append(min(most, max(plan[-1] + 1, round(plan[-1] * _GROWTH))))
    return tuple(plan)


@lru_cache(maxsize=4096)
def level(done: int, blocks: int, most: int | None, *, spent: bool = False) -> float:
    """Return the two-sided significance level at which a run of so many blocks is judged now.

    A run that its budget ended (`spent`), or that stands between two looks, spends there what is left: what
    ended it did not depend on what it had found. Before the first look nothing was spent either. No whole
    block is judged as one is: by nothing.
    """
    done = max(done, 1)
    planned = looks(blocks, most)
    if done in planned and not spent:
        return levels(planned)[planned.index(done)]
    return levels((*(look for look in planned if look < done), done))[-1]


@lru_cache(maxsize=256)
def levels(planned: tuple[int, ...], spend: Callable[[float], float] = power) -> tuple[float, ...]:
    """Return the two-sided significance level of each look, so that all together spend α."""
    shares = [look / planned[-1] for look in planned]
    return tuple(float(2 * stats.norm.sf(bound)) for bound in boundaries(shares, spend))


def boundaries(shares: Sequence[float], spend: Callable[[float], float] = power) -> list[float]:
    """Return the boundary |z| of each look at these shares of the information.

    Kept between looks is the mass, on a grid, of the score S = z·√t over the runs that have not crossed; one
    look's boundary is where the mass that the next increment carries beyond it is what may be spent.
    """
    bounds: list[float] = []
    grid, density, before, spent = np.zeros(1), np.ones(1), 0.0, 0.0
    for share in shares:
        step = float(np.sqrt(share - before))
        allowed = spend(share) - spent
        bound = _bound(grid, density, step, share, allowed)
        bounds.append(bound)
        edge = bound * np.sqrt(share)
        at = np.linspace(-edge, edge, _GRID)
        kernel = stats.norm.pdf((at[:, None] - grid[None, :]) / step) / step
        weights = np.full(_GRID, at[1] - at[0])
        weights[[0, -1]] /= 2  # the trapezoidal rule
        density, grid = (kernel @ density) * weights, at
        before, spent = share, spend(share)
    return bounds


def _bound(grid: Array, density: Array, step: float, share: float, allowed: float) -> float:
    def beyond(bound: float) -> float:
        edge = bound * np.sqrt(share)
        crossing = stats.norm.sf((edge - grid) / step) + stats.norm.cdf((-edge - grid) / step)
        return float(density @ crossing) - allowed

    return float(optimize.brentq(beyond, 0.01, 12.0, xtol=1e-6))
