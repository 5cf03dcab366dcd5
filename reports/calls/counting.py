"""The interval of a number of calls: over blocks, and no narrower than chance makes so few of them.

Student's interval over blocks holds when each block's count is near to normal. A trial of twenty seconds may
have two calls, and three such counts may happen to be equal. So the interval is the hull of Student's
and of Garwood's exact one for Poisson counts (F. Garwood, "Fiducial limits for the Poisson distribution",
Biometrika 28, 1936) on the total. Fills of a TTL cache scatter at most as Poisson counts do (reports/theory/
renewal.py: their variance is at most their mean), so that this end is a cautious one. docs/trust.md has the
coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from reports import statistics

Source = Literal["blocks", "counts"]


@dataclass(frozen=True)
class Counted:
    """Calls per hour: the mean over trials, its 95% interval, and what makes that as wide as it is.

    `source` is `blocks` where the spread between blocks alone does; `counts` where the number of calls is so
    small that chance makes it wider at one end at least, or there is but one block.
    """

    value: float
    ci95: tuple[float, float]
    source: Source


def per_hour(calls: Sequence[int], hours: Sequence[float]) -> Counted | None:
    """Return the calls per hour of a variant, from each trial's calls and length; None without trials."""
    if not calls:
        return None
    exposed, total = sum(hours), sum(calls)
    low, high = (end / exposed for end in garwood(total))
    estimate = statistics.mean([count / hour for count, hour in zip(calls, hours, strict=True)])
    student = estimate.interval(least=0.0) if estimate is not None else None
    if student is None:
        return Counted(total / exposed, (low, high), "counts")
    hull = min(low, student[0]), max(high, student[1])
    return Counted(total / exposed, hull, "blocks" if hull == student else "counts")


def garwood(count: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return the exact interval at level 1 − alpha of a Poisson mean, given one count."""
    low = stats.chi2.ppf(alpha / 2, 2 * count) / 2 if count else 0.0
    return float(low), float(stats.chi2.ppf(1 - alpha / 2, 2 * count + 2) / 2)
