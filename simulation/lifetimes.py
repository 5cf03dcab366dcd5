"""For how long the app keeps what a call brings, by the status that the upstream answered with."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Cache

OK: Final = 200
NOT_FOUND: Final = (404, 410)


def stored_s(statuses: NDArray[np.integer[Any]], cache: Cache) -> NDArray[np.float64]:
    """Return for how long answers of these statuses are fresh, in seconds; 0: they are not stored."""
    negative_s = np.where(np.isin(statuses, NOT_FOUND), cache.negative_ttl, 0.0)
    return np.asarray(np.where(statuses == OK, cache.ttl, negative_s))


def stored_us(statuses: NDArray[np.integer[Any]], cache: Cache) -> NDArray[np.int64]:
    """Return the same in whole microseconds."""
    return np.round(stored_s(statuses, cache) * 1e6).astype(np.int64)
