"""How a log's requests are spread: over hours, over resources, and how much a cache of all of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from traffic.logs import answers, telling
from traffic.logs.log import SECOND_US, AccessLog

HOUR_US: Final = 3600 * SECOND_US
_LEAST_RESOURCES: Final = 10  # to fit an exponent to
_MOST_HOURS: Final = 24 * 366  # that are listed one by one; a longer log has its busiest ones
_STEEPEST: Final = 5.0


@dataclass(frozen=True)
class Shape:
    """What is computed from a log's requests.

    Attributes:
        first_hour_us: when the first hour begins, µs since the epoch; hours begin at full hours, UTC.
        hourly: requests of each hour.
        hourly_resources: different resources requested in each hour: its working set.
        resource_bytes: bytes of all resources whose size is known, each once.
        sized: how many those are.
        exponent: of Zipf's law, fitted; None where there is too little to fit it to.
    """

    first_hour_us: int
    hourly: NDArray[np.int64]
    hourly_resources: NDArray[np.int64]
    resource_bytes: int
    sized: int
    exponent: float | None

    @property
    def busiest(self) -> int:
        """The number of the hour with the most requests."""
        return int(self.hourly.argmax())

    def begins(self, hour: int) -> str:
        """Return when an hour begins, as ISO 8601 in UTC."""
        return telling.moment(self.first_hour_us + hour * HOUR_US)


def shape(log: AccessLog) -> Shape:
    """Compute how the requests of a log are spread."""
    at_us = log.facts.first_us + log.at_us
    first = int(at_us[0] // HOUR_US)
    hours = at_us // HOUR_US - first
    sizes = answers.sizes(log)
    known = sizes >= 0
    return Shape(
        first_hour_us=first * HOUR_US,
        hourly=np.bincount(hours),
        hourly_resources=_different(hours, log.keys, len(log.resources)),
        resource_bytes=int(sizes[known].sum()),
        sized=int(known.sum()),
        exponent=zipf_exponent(np.bincount(log.keys)),
    )


def _different(hours: NDArray[np.int64], keys: NDArray[np.int32], resources: int) -> NDArray[np.int64]:
    """Return how many different keys there are in each hour; hours are in order."""
    counts = np.zeros(int(hours[-1]) + 1, np.int64)
    begins = np.flatnonzero(np.diff(hours, prepend=-1))
    ends = np.append(begins[1:], hours.size)
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        part = keys[begin:end]
        few = part.size * 16 < resources  # sorting few is faster than counting all resources
        counts[hours[begin]] = np.unique(part).size if few else np.count_nonzero(np.bincount(part))
    return counts


def zipf_exponent(counts: NDArray[np.int64]) -> float | None:
    """Fit Zipf's law to how often each resource is requested: P(rank r) ∝ r^−s for the ranks 1 to n.

    The maximum of the likelihood, with ranks by the counts themselves (Clauset, Shalizi, Newman, "Power-law
    distributions in empirical data", SIAM Review 51, 2009, for a law with an end). Ranks by counts bias
    small exponents upwards: 800 requests for each of 500 equal keys give 0.03. None: fewer than ten
    resources, or none that is requested twice.
    """
    sorted_ = np.sort(counts[counts > 0])[::-1].astype(np.float64)
    if sorted_.size < _LEAST_RESOURCES or sorted_[0] < 2:
        return None
    logs = np.log(np.arange(1, sorted_.size + 1))
    total, mean_log = float(sorted_.sum()), float(sorted_ @ logs)

    def unlikely(exponent: float) -> float:
        return exponent * mean_log + total * float(np.log(np.exp(-exponent * logs).sum()))

    found = optimize.minimize_scalar(
        unlikely, bounds=(0.0, _STEEPEST), method="bounded", options={"xatol": 1e-4}
    )
    return float(found.x)


def figures(log: AccessLog) -> dict[str, Any]:
    """Return what `sidecar-bench log --json` says of a log."""
    found = shape(log)
    hours = range(found.hourly.size)
    if found.hourly.size > _MOST_HOURS:
        hours = np.sort(np.argsort(-found.hourly, kind="stable")[:_MOST_HOURS]).tolist()
    with_some = found.hourly_resources[found.hourly > 0]
    return telling.figures(log.facts) | {
        "clients": log.facts.clients,
        "requests_per_hour": [
            {"hour": found.begins(hour), "requests": int(found.hourly[hour])} for hour in hours
        ],
        "busiest_hour": {"hour": found.begins(found.busiest), "requests": int(found.hourly[found.busiest])},
        "zipf_exponent": None if found.exponent is None else round(found.exponent, 3),
        "working_set": {
            "resources": log.facts.resources,
            "bytes": found.resource_bytes,
            "resources_with_size": found.sized,
            "resources_per_hour": {"mean": float(with_some.mean()), "most": int(with_some.max())},
        },
    }
