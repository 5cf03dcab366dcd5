"""Which failed requests had to fail, and which paths the others were for."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from traffic.keys import Requests
from traffic.spelling import refused

_NAMED: Final = 3
_LONGEST: Final = 120  # signs of a path
_REFUSED: Final = 400


def told_of_failures(
    requests: Requests, failed: NDArray[np.int64], statuses: NDArray[np.int16]
) -> dict[str, Any]:
    """Return what `scenarios.facts.LoadFacts` stores of the failed requests, given by their numbers.

    A request had to fail where our app refuses its path by rule, or where the log tells of that very error
    for the path.
    """
    logged: set[tuple[int, int]] = set()
    if requests.statuses is not None:
        errors = requests.statuses >= 500
        logged = set(zip(requests.keys[errors].tolist(), requests.statuses[errors].tolist(), strict=True))
    pairs = Counter(zip(requests.keys[failed].tolist(), statuses[failed].tolist(), strict=True))
    expected = sum(count for pair, count in pairs.items() if _had_to_fail(requests, pair, logged))
    others = Counter({pair: n for pair, n in pairs.items() if not _had_to_fail(requests, pair, logged)})
    return {
        "expected_errors": expected,
        "failed_paths": [
            {"path": requests.paths[key][:_LONGEST], "status": status, "requests": count}
            for (key, status), count in others.most_common(_NAMED)
        ],
    }


def _had_to_fail(requests: Requests, pair: tuple[int, int], logged: set[tuple[int, int]]) -> bool:
    key, status = pair
    if pair in logged:
        return True
    return status == _REFUSED and refused(requests.paths[key].encode()) is not None
