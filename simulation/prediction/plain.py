"""Counting for many TTLs at once where a cache is plain: nothing in front, nothing stale, no restarts.

A fill takes milliseconds, and requests for a key are seconds apart. A request that has no other for its key
within one fill, before or after it, finds every call landed, and its own lands before the next: it hits if
its entry has not expired, whoever joins whose calls. For such requests all TTLs are done in one step, which
the compiler makes vectors of. The others come in bursts, which are replayed for each TTL by itself, by the
rules of `kernels`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulation.compiled import compiled
from simulation.kernels import NEVER
from simulation.prediction.kernels import CALLS, DELAYED, HITS, KEPT, NOT_KEPT, Integers

Table = NDArray[np.int64]
KINDS: Final = 3  # of outcomes: hits, delayed, calls
_HITS, _DELAYED, _CALLS = range(KINDS)
PLACES: Final = ((_HITS, HITS), (_DELAYED, DELAYED), (_CALLS, CALLS))
"""Where the counts of each kind stand among those of `kernels`."""


class Plain(NamedTuple):
    """How caches behave, where that is plain; µs."""

    fill_us: int
    negative_us: int
    shared: bool
    joined: bool
    lease: bool


@compiled
def count_plain(
    at_us: Integers,
    replicas: NDArray[np.int16],
    kept: NDArray[np.int8],
    hours: NDArray[np.int32],
    starts: Integers,
    keys: tuple[int, int],
    replica_count: int,
    ttls_us: Integers,
    count_from_us: Integers,
    rules: Plain,
    found: NDArray[np.int64],
) -> None:
    """Count the requests of some keys into `found`, by hour, kind and TTL. Arguments are as in `kernels`."""
    caches = 1 if rules.shared else replica_count
    expires_us = np.full((caches, ttls_us.size), NEVER)
    busy_until_us = np.full(replica_count, NEVER)
    longest = 0
    for key in range(keys[0], keys[1]):
        longest = max(longest, starts[key + 1] - starts[key])
    waiting = np.empty(longest, np.int64)
    for key in range(keys[0], keys[1]):
        begin, end = starts[key], starts[key + 1]
        request = begin
        while request < end:
            until = request + 1
            while until < end and at_us[until] - at_us[until - 1] < rules.fill_us:
                until += 1
            if until == request + 1:
                cache = 0 if rules.shared else np.int64(replicas[request])
                _alone(
                    at_us[request], kept[request], ttls_us, count_from_us, rules.fill_us, rules.negative_us,
                    expires_us[cache], found[hours[request]],
                )  # fmt: skip
            else:
                for at in range(ttls_us.size):
                    _burst(
                        at_us, replicas, kept, hours, request, until, ttls_us[at], count_from_us[at], rules,
                        expires_us[:, at], busy_until_us, waiting, found[:, :, at],
                    )  # fmt: skip
            request = until
        if end - begin >= caches:
            expires_us[:] = NEVER
        else:
            for place in range(begin, end):
                expires_us[0 if rules.shared else np.int64(replicas[place])] = NEVER


@compiled
def _alone(
    now: int,
    kept: int,
    ttls_us: Integers,
    count_from_us: Integers,
    fill_us: int,
    negative_us: int,
    expires_us: Integers,
    found: Table,
) -> None:
    """Do a request that has the cache for itself, for all TTLs."""
    hits, calls = found[_HITS], found[_CALLS]
    for at in range(ttls_us.size):
        missed, counted = now >= expires_us[at], now >= count_from_us[at]
        calls[at] += missed & counted
        hits[at] += (not missed) & counted
    if kept == NOT_KEPT:
        return
    for at in range(ttls_us.size):
        until = now + fill_us + (ttls_us[at] if kept == KEPT else negative_us)
        expires_us[at] = until if now >= expires_us[at] else expires_us[at]


@compiled
def _burst(
    at_us: Integers,
    replicas: NDArray[np.int16],
    kept: NDArray[np.int8],
    hours: NDArray[np.int32],
    begin: int,
    end: int,
    ttl_us: int,
    count_from_us: int,
    rules: Plain,
    expires_us: Integers,
    busy_until_us: Integers,
    waiting: Integers,
    found: Table,
) -> None:
    """Do requests that may meet each other's calls, for one TTL; all have landed at its end."""
    first = last = 0
    for request in range(begin, end + 1):
        while first < last and (request == end or at_us[waiting[first]] + rules.fill_us <= at_us[request]):
            landed = waiting[first]
            if kept[landed] != NOT_KEPT:
                cache = 0 if rules.shared else np.int64(replicas[landed])
                lifetime_us = ttl_us if kept[landed] == KEPT else rules.negative_us
                expires_us[cache] = at_us[landed] + rules.fill_us + lifetime_us
            first += 1
        if request == end:
            break
        now, replica = at_us[request], np.int64(replicas[request])
        cache = 0 if rules.shared else replica
        caller = 0 if rules.shared and rules.lease else replica
        kind = _HITS
        if now >= expires_us[cache]:
            kind = _DELAYED if rules.joined and now < busy_until_us[caller] else _CALLS
        if kind == _CALLS:
            busy_until_us[caller] = now + rules.fill_us
            waiting[last] = request
            last += 1
        if now >= count_from_us:
            found[hours[request], kind] += 1
    for place in range(last):
        busy_until_us[0 if rules.shared and rules.lease else np.int64(replicas[waiting[place]])] = NEVER
