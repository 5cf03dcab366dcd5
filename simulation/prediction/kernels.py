"""Counting what becomes of requests, by hour and for many TTLs at once, compiled.

Caches without a limit do not know of each other's keys. So requests stand key by key, those of a key in order
of time, and the keys are shared out among the cores. Times are integers in µs; the rules at ties are those of
`simulation.kernels`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulation.compiled import compiled
from simulation.kernels import NEVER

Integers = NDArray[np.int64]
# What the last axis of the counts holds.
HITS, L1_HITS, DELAYED, STALE, CALLS, UNCHANGED = range(6)
KINDS: Final = 6
FOREVER: Final = 2**62
# What becomes of what a call brings.
NOT_KEPT, KEPT, NEGATIVE = range(3)


class Asked(NamedTuple):
    """Requests key by key: when, of which replica, what is kept of a call, in which hour.

    `lives` number the lives of the request's cache, `generations` those of its
    replica (deployments, crashes); empty: each has but one.
    """

    at_us: Integers
    replicas: NDArray[np.int16]
    kept: NDArray[np.int8]
    hours: NDArray[np.int32]
    lives: NDArray[np.int32]
    generations: NDArray[np.int32]


class Rules(NamedTuple):
    """How caches behave. Times in µs; `jitter` is a share of the TTL, `salt` its seed."""

    fill_us: int
    negative_us: int
    revalidate_us: int  # for so long an expired copy is kept for a conditional call
    stale_us: int  # time that it is served while it is fetched again
    l1_us: int
    shared: bool
    joined: bool
    lease: bool
    jitter: float
    salt: int


# The columns of a key's state: a row for each cache, caller and replica of that number.
_EXPIRES, _COPY, _BUSY, _L1, _LIFE, _GENERATION = range(6)
_COLUMNS: Final = 6


@compiled
def count_by_key(
    asked: Asked,
    starts: Integers,
    keys: tuple[int, int],
    replicas: int,
    ttls_us: Integers,
    count_from_us: Integers,
    rules: Rules,
    found: NDArray[np.int64],
) -> None:
    """Count the requests of some keys into `found`, by TTL, hour and kind.

    `starts` says where each key begins and, last, where all end; `keys` are the first of them and the first
    that is not. `count_from_us`: requests before it are not counted, by TTL.
    """
    longest = 0
    for key in range(keys[0], keys[1]):
        longest = max(longest, starts[key + 1] - starts[key])
    state, waiting = np.empty((replicas, _COLUMNS), np.int64), np.empty(longest, np.int64)
    _forget(state, replicas)
    for key in range(keys[0], keys[1]):
        begin, end = starts[key], starts[key + 1]
        for at in range(ttls_us.size):
            _count_key(
                asked.at_us, asked.replicas, asked.kept, asked.hours, asked.lives, asked.generations,
                begin, end, ttls_us[at], count_from_us[at], rules, state, waiting, found[at],
            )  # fmt: skip


@compiled
def _count_key(
    at_us: Integers,
    replicas: NDArray[np.int16],
    kept: NDArray[np.int8],
    hours: NDArray[np.int32],
    lives: NDArray[np.int32],
    generations: NDArray[np.int32],
    begin: int,
    end: int,
    ttl_us: int,
    count_from_us: int,
    rules: Rules,
    state: NDArray[np.int64],
    waiting: Integers,
    found: NDArray[np.int64],
) -> None:
    first = last = 0
    lands_us = FOREVER
    for request in range(begin, end):
        now, replica = int(at_us[request]), int(replicas[request])
        cache = 0 if rules.shared else replica
        caller = 0 if rules.shared and rules.lease else replica
        while lands_us <= now:
            landed = int(waiting[first])
            where = 0 if rules.shared else np.int64(replicas[landed])
            if not lives.size or lives[landed] == state[where, _LIFE]:
                _land(landed, kept[landed], lands_us, ttl_us, rules, state[where])
            first += 1
            lands_us = int(at_us[waiting[first]]) + rules.fill_us if first < last else FOREVER
        if lives.size:
            _begin_lives(lives[request], generations[request], cache, replica, rules, state)
        kind = _look(now, cache, caller, replica, rules, state)
        calls = kind == CALLS or (kind == STALE and now >= state[caller, _BUSY])
        if now >= count_from_us:
            unchanged = kept[request] == KEPT and now < state[cache, _COPY] + rules.revalidate_us
            _tally(kind, calls, unchanged, found[hours[request]])
        if calls:
            state[caller, _BUSY] = now + rules.fill_us
            waiting[last] = request
            last += 1
            lands_us = min(lands_us, now + rules.fill_us)
    if end - begin >= state.shape[0]:
        _forget(state, state.shape[0])
        return
    _forget(state, 1)
    for request in range(begin, end):
        _forget(state[np.int64(replicas[request]) :], 1)


@compiled
def _look(now: int, cache: int, caller: int, replica: int, rules: Rules, state: NDArray[np.int64]) -> int:
    """Return what a request finds; `CALLS`: nothing, and it waits for a call of its own."""
    if now < state[replica, _L1]:
        return L1_HITS
    if now < state[cache, _EXPIRES]:
        if rules.l1_us > 0:
            state[replica, _L1] = min(now + rules.l1_us, state[cache, _EXPIRES])
        return HITS
    if now < state[cache, _COPY] + rules.stale_us:
        return STALE
    return DELAYED if rules.joined and now < state[caller, _BUSY] else CALLS


@compiled
def _tally(kind: int, calls: bool, unchanged: bool, found: Integers) -> None:
    if kind != CALLS:
        found[kind] += 1
    if calls:
        found[CALLS] += 1
        found[UNCHANGED] += unchanged


@compiled
def _begin_lives(
    life: int, generation: int, cache: int, replica: int, rules: Rules, state: NDArray[np.int64]
) -> None:
    """Empty a cache, or a replica, that was restarted since its last request."""
    if life != state[cache, _LIFE]:
        state[cache, _LIFE] = life
        state[cache, _EXPIRES] = state[cache, _COPY] = NEVER
    if generation != state[replica, _GENERATION]:
        state[replica, _GENERATION] = generation
        state[replica, _L1] = NEVER
        if not (rules.shared and rules.lease):
            state[replica, _BUSY] = NEVER


@compiled
def _land(request: int, kept: int, lands_us: int, ttl_us: int, rules: Rules, cache: Integers) -> None:
    """Keep what a call brought."""
    if kept == KEPT:
        cache[_EXPIRES] = cache[_COPY] = lands_us + _lifetime(ttl_us, request, rules)
    elif kept == NEGATIVE:
        cache[_EXPIRES], cache[_COPY] = lands_us + rules.negative_us, NEVER


@compiled
def _lifetime(ttl_us: int, request: int, rules: Rules) -> int:
    """Return the TTL of what a call brings, with its jitter: SplitMix64 of the request's number."""
    if rules.jitter == 0:
        return ttl_us
    mixed = np.uint64(request) + np.uint64(rules.salt) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    drawn = (mixed ^ (mixed >> np.uint64(31))) / 2.0**64
    return int(ttl_us * (1 + rules.jitter * (2 * drawn - 1)))


@compiled
def _forget(state: NDArray[np.int64], rows: int) -> None:
    """Make the state that of a key that was never asked for."""
    for row in range(rows):
        state[row, :_LIFE] = NEVER
        state[row, _LIFE:] = 0
