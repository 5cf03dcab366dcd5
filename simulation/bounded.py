"""The engine's inner loop for caches of limited size, compiled. `simulation.engine` prepares its arguments.

A cache evicts what was used longest ago (exact LRU) and gives an expired entry's memory back at once. Times
are as in `simulation.kernels`.

Entries are rows of one array, so that what is read together lies together: when it expires (`NEVER`: not
held), the entries of its cache used just before and just after it, its bytes, its cache. Caches are rows of
another: the entry unused for longest, the one used last, the bytes held. `ageing` lists (entry, expiry) in
the order of fills, the longest lifetime and any other (a 404's) by themselves, so that each list is in order
of expiry; `marks` are where each begins and ends, and how many entries were evicted.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.compiled import compiled
from simulation.kernels import NEVER, Asked, Integers
from simulation.outcomes import DELAYED, HIT, MISS

_EXPIRES, _OLDER, _NEWER, _BYTES, _CACHE = range(5)
_OLDEST, _NEWEST, _USED = range(3)
_EVICTED: Final = 4  # among the marks
_NONE: Final = -1
Table = NDArray[np.int64]


@compiled
def replay_bounded(
    asked: Asked,
    keys: Integers,
    sizes: Integers,
    counts: tuple[int, int],
    fill_us: int,
    joined: bool,
    capacity: int,
    held: Integers,
    expires_us: Integers,
    emptied: Table,
    outcomes: NDArray[np.int8],
) -> tuple[Integers, Integers, int]:
    """Replay requests in order of time to caches of `capacity` bytes.

    `keys` number the rows of `sizes` (bytes), `counts` are the numbers of caches and of callers. `held` lists
    what the caches hold at the beginning as key × caches + cache, the longest unused first, and `expires_us`
    when each expires. `emptied` lists (when, which cache) in order of time: a cache is empty from then on,
    and neither keeps nor waits for a call that began before. Returns what is held at the end, listed
    likewise, when it expires, and how many were evicted.
    """
    cache_count, caller_count = counts
    entries, caches = _tables(sizes, cache_count)
    longest_us = asked.lifetimes_us.max() if asked.lifetimes_us.size else 0
    ageing = np.empty((2, held.size + asked.at_us.size, 2), np.int64)
    marks = np.zeros(5, np.int64)
    for place in range(held.size):
        _put(entries, caches, ageing[0], marks[:2], held[place], expires_us[place])
        _evict(entries, caches, marks, entries[held[place], _CACHE], capacity)
    for turn, place in enumerate(np.argsort(expires_us)):
        ageing[0, turn, 0], ageing[0, turn, 1] = held[place], expires_us[place]
    marks[_EVICTED] = 0
    joined = joined and fill_us > 0
    busy_until_us = np.full(sizes.size * caller_count if joined else 1, NEVER)
    waiting = np.empty(asked.at_us.size, np.int64)
    emptied_us = np.full(cache_count, NEVER)
    first = last = turn = 0
    for request in range(asked.at_us.size):
        now, cache = asked.at_us[request], asked.caches[request]
        while turn < len(emptied) and emptied[turn, 0] <= now:
            _empty(entries, caches, emptied[turn, 1])
            emptied_us[emptied[turn, 1]] = emptied[turn, 0]
            turn += 1
        while first < last and asked.at_us[waiting[first]] + fill_us <= now:
            _land(
                asked,
                keys,
                waiting[first],
                fill_us,
                capacity,
                longest_us,
                entries,
                caches,
                ageing,
                marks,
                emptied_us,
            )
            first += 1
        entry = keys[request] * cache_count + asked.caches[request]
        line = keys[request] * caller_count + asked.callers[request]
        if now < entries[entry, _EXPIRES]:
            outcomes[request] = HIT
            _unlink(entries, caches, entry)
            _append(entries, caches, entry)
        elif joined and now < busy_until_us[line] and busy_until_us[line] - fill_us >= emptied_us[cache]:
            outcomes[request] = DELAYED
        else:
            outcomes[request] = MISS
            if joined:
                busy_until_us[line] = now + fill_us
            waiting[last] = request
            last += 1
    for place in range(first, last):
        _land(
            asked,
            keys,
            waiting[place],
            fill_us,
            capacity,
            longest_us,
            entries,
            caches,
            ageing,
            marks,
            emptied_us,
        )
    left = _by_last_use(entries, caches)
    return left, entries[left, _EXPIRES], marks[_EVICTED]


@compiled
def _tables(sizes: Integers, cache_count: int) -> tuple[Table, Table]:
    entries = np.full((sizes.size * cache_count, 5), _NONE)
    for key in range(sizes.size):
        for cache in range(cache_count):
            entry = key * cache_count + cache
            entries[entry, _EXPIRES], entries[entry, _BYTES] = NEVER, sizes[key]
            entries[entry, _CACHE] = cache
    caches = np.full((cache_count, 3), _NONE)
    caches[:, _USED] = 0
    return entries, caches


@compiled
def _land(
    asked: Asked,
    keys: Integers,
    request: int,
    fill_us: int,
    capacity: int,
    longest_us: int,
    entries: Table,
    caches: Table,
    ageing: NDArray[np.int64],
    marks: Integers,
    emptied_us: Integers,
) -> None:
    if asked.at_us[request] < emptied_us[asked.caches[request]]:
        return
    lands_us = asked.at_us[request] + fill_us
    for line in range(2):
        _expire(entries, caches, ageing[line], marks[2 * line : 2 * line + 2], lands_us)
    lifetime_us = asked.lifetimes_us[request]
    if lifetime_us > 0:
        line = 0 if lifetime_us == longest_us else 1
        entry = keys[request] * len(caches) + asked.caches[request]
        _put(entries, caches, ageing[line], marks[2 * line : 2 * line + 2], entry, lands_us + lifetime_us)
        _evict(entries, caches, marks, asked.caches[request], capacity)


@compiled
def _expire(entries: Table, caches: Table, ageing: Table, marks: Integers, now: int) -> None:
    """Remove what has expired of those that are listed."""
    while marks[0] < marks[1] and ageing[marks[0], 1] <= now:
        entry = ageing[marks[0], 0]
        if entries[entry, _EXPIRES] == ageing[marks[0], 1]:
            _remove(entries, caches, entry)
        marks[0] += 1


@compiled
def _put(entries: Table, caches: Table, ageing: Table, marks: Integers, entry: int, expires_us: int) -> None:
    if entries[entry, _EXPIRES] == NEVER:
        caches[entries[entry, _CACHE], _USED] += entries[entry, _BYTES]
    else:
        _unlink(entries, caches, entry)
    _append(entries, caches, entry)
    entries[entry, _EXPIRES] = expires_us
    ageing[marks[1], 0], ageing[marks[1], 1] = entry, expires_us
    marks[1] += 1


@compiled
def _evict(entries: Table, caches: Table, marks: Integers, cache: int, capacity: int) -> None:
    while caches[cache, _USED] > capacity:
        _remove(entries, caches, caches[cache, _OLDEST])
        marks[_EVICTED] += 1


@compiled
def _remove(entries: Table, caches: Table, entry: int) -> None:
    _unlink(entries, caches, entry)
    caches[entries[entry, _CACHE], _USED] -= entries[entry, _BYTES]
    entries[entry, _EXPIRES] = NEVER


@compiled
def _empty(entries: Table, caches: Table, cache: int) -> None:
    while caches[cache, _OLDEST] != _NONE:
        _remove(entries, caches, caches[cache, _OLDEST])


@compiled
def _unlink(entries: Table, caches: Table, entry: int) -> None:
    before, after, cache = entries[entry, _OLDER], entries[entry, _NEWER], entries[entry, _CACHE]
    if before == _NONE:
        caches[cache, _OLDEST] = after
    else:
        entries[before, _NEWER] = after
    if after == _NONE:
        caches[cache, _NEWEST] = before
    else:
        entries[after, _OLDER] = before


@compiled
def _append(entries: Table, caches: Table, entry: int) -> None:
    cache = entries[entry, _CACHE]
    last = caches[cache, _NEWEST]
    entries[entry, _OLDER], entries[entry, _NEWER] = last, _NONE
    if last == _NONE:
        caches[cache, _OLDEST] = entry
    else:
        entries[last, _NEWER] = entry
    caches[cache, _NEWEST] = entry


@compiled
def _by_last_use(entries: Table, caches: Table) -> Integers:
    held = np.empty(len(entries), np.int64)
    count = 0
    for cache in range(len(caches)):
        entry = caches[cache, _OLDEST]
        while entry != _NONE:
            held[count] = entry
            count += 1
            entry = entries[entry, _NEWER]
    return held[:count]
