"""The engine's inner loop for caches without a limit, compiled. `simulation.engine` prepares its arguments.

All times are integers in µs. A request at the very moment at which a fill lands finds it; a request at the
very moment at which an entry expires does not. Fills take equally long, so that they land in the order in
which they began.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulation.compiled import compiled
from simulation.outcomes import DELAYED, HIT, MISS

Integers = NDArray[np.int64]
NEVER: Final = -(2**62)


class Asked(NamedTuple):
    """Requests, an array for each fact: when, which cache, with whom calls are joined, for how long."""

    at_us: Integers
    caches: Integers
    callers: Integers
    lifetimes_us: Integers


@compiled
def replay_by_key(
    asked: Asked,
    starts: Integers,
    fill_us: int,
    joined: bool,
    held_us: NDArray[np.int64],
    outcomes: NDArray[np.int8],
) -> None:
    """Replay requests to caches that never fill up, one key after the other.

    The requests of each key stand together, in order of time; `starts` says where each key begins and, last,
    where all end. `held_us[key, cache]` is when an entry expires: before the replay and, calls under way
    included, after it.
    """
    busy_until_us = np.full(asked.callers.max() + 1 if asked.callers.size else 1, NEVER)
    waiting = np.empty(asked.at_us.size, np.int64)
    for key in range(starts.size - 1):
        _replay_key(
            asked,
            starts[key],
            starts[key + 1],
            fill_us,
            joined,
            held_us[key],
            busy_until_us,
            waiting,
            outcomes,
        )


@compiled
def _replay_key(
    asked: Asked,
    begin: int,
    end: int,
    fill_us: int,
    joined: bool,
    expires_us: Integers,
    busy_until_us: Integers,
    waiting: Integers,
    outcomes: NDArray[np.int8],
) -> None:
    first = last = 0
    for request in range(begin, end):
        now, caller = asked.at_us[request], asked.callers[request]
        while first < last and asked.at_us[waiting[first]] + fill_us <= now:
            _land(asked, waiting[first], fill_us, expires_us)
            first += 1
        if now < expires_us[asked.caches[request]]:
            outcomes[request] = HIT
        elif joined and now < busy_until_us[caller]:
            outcomes[request] = DELAYED
        else:
            outcomes[request] = MISS
            busy_until_us[caller] = now + fill_us
            waiting[last] = request
            last += 1
    for place in range(first, last):
        _land(asked, waiting[place], fill_us, expires_us)
    for place in range(last):
        busy_until_us[asked.callers[waiting[place]]] = NEVER


@compiled
def _land(asked: Asked, request: int, fill_us: int, expires_us: Integers) -> None:
    lifetime_us = asked.lifetimes_us[request]
    if lifetime_us > 0:
        expires_us[asked.caches[request]] = asked.at_us[request] + fill_us + lifetime_us
