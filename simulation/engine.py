"""Caches in virtual time: which requests hit, and what the caches hold in the end. Exact, compiled by numba.

    outcomes = replay(Trace(at_us, keys, replicas), Behaviour(ttl_us=3_600_000_000, shared=True), replicas=6)
    calls = (outcomes == MISS).sum()

The rules are the app's: a TTL counts from when a fill lands and no hit prolongs it; a request that finds a
call of its own replica (with a lease: of any replica at the same cache) under way waits for it; a call that
lands later overwrites the entry of one that landed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.bounded import replay_bounded
from simulation.kernels import NEVER, Asked, Integers, replay_by_key

_WHOLE: Final = np.int64
_NEVER_EMPTIED: Final = np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class Trace:
    """Requests in order of time: when (µs), which key, to which replica.

    `lifetimes_us` says how long what each request would bring is kept (0: not at all), where that differs
    from `Behaviour.ttl_us`: a log's 404s and 5xx. `sizes` are the bytes that its entry takes in a
    cache, where caches are bounded.

    Raises:
        ValueError: the arrays differ in length, or times go backwards.
    """

    at_us: Integers
    keys: NDArray[np.integer]
    replicas: NDArray[np.integer]
    lifetimes_us: Integers | None = None
    sizes: Integers | None = None

    def __post_init__(self) -> None:
        given = [self.at_us, self.keys, self.replicas, self.lifetimes_us, self.sizes]
        if len({array.size for array in given if array is not None}) > 1:
            raise ValueError("the arrays of a trace are of one length")
        if self.at_us.size and (np.diff(self.at_us) < 0).any():
            raise ValueError("a trace is in order of time")

    @cached_property
    def order(self) -> Integers:
        """The requests by key, those of a key by time."""
        return np.argsort(self.keys, kind="stable").astype(_WHOLE)

    @cached_property
    def starts(self) -> Integers:
        """Where in `order` each distinct key begins and, last, how many requests there are."""
        ordered = self.keys[self.order]
        begins = np.flatnonzero(np.diff(ordered)) + 1
        first = [0] if ordered.size else []
        return np.concatenate([first, begins, [ordered.size]]).astype(_WHOLE)

    @cached_property
    def distinct(self) -> NDArray[np.integer]:
        """The distinct keys, in ascending order."""
        return self.keys[self.order[self.starts[:-1]]]


@dataclass(frozen=True)
class Behaviour:
    """How the caches of one variant behave. Times in µs.

    `shared`: one cache for all replicas, else one each. `joined`: a replica's requests for a key that it is
    fetching already wait for that call. `lease`: so do those of other replicas at a shared cache.
    `capacity`: bytes that each cache holds before it evicts what was used longest ago; None: no limit.
    """

    ttl_us: int
    fill_us: int = 0
    shared: bool = False
    joined: bool = True
    lease: bool = False
    capacity: int | None = None

    def caches(self, replicas: int) -> int:
        """Return how many caches there are."""
        return 1 if self.shared else replicas


@dataclass(frozen=True)
class Contents:
    """What caches hold: for each entry its cache, its key, and when it expires (µs on the trace's clock).

    Where caches are bounded, the entries of a cache stand in the order of their last use, the longest
    unused first.
    """

    caches: Integers
    keys: Integers
    expires_us: Integers

    @classmethod
    def none(cls) -> Contents:
        """Return empty caches: a cold start."""
        empty = np.empty(0, _WHOLE)
        return cls(empty, empty, empty)

    def shifted(self, by_us: int) -> Contents:
        """Return the same on a clock that shows `by_us` more."""
        return Contents(self.caches, self.keys, self.expires_us + by_us)


@dataclass(frozen=True)
class Replay:
    """What came of a trace: an outcome code for each request, the caches at its end, and what was evicted."""

    outcomes: NDArray[np.int8]
    contents: Contents
    evicted: int = 0


def replay(
    trace: Trace, behaviour: Behaviour, replicas: int, start: Contents | None = None
) -> NDArray[np.int8]:
    """Return what becomes of each request (`simulation.outcomes`), from the caches' contents at the start.

    None for `start` is a cold start. The sort by key that it takes is remembered by the trace.
    """
    if behaviour.capacity is not None:
        return replay_on(trace, behaviour, replicas, start).outcomes
    outcomes, _ = _unbounded(trace, behaviour, replicas, start)
    return outcomes


def replay_on(
    trace: Trace, behaviour: Behaviour, replicas: int, start: Contents | None = None, kept_us: int = 0
) -> Replay:
    """Replay, and return what the caches hold at the end, too; calls under way count as landed.

    `kept_us`: entries that expired at most so long before the end are among them; not so where caches are
    bounded.
    """
    if behaviour.capacity is not None:
        return _bounded(trace, behaviour, replicas, start or Contents.none(), behaviour.capacity)
    outcomes, held_us = _unbounded(trace, behaviour, replicas, start)
    rows, caches = np.nonzero(held_us > (trace.at_us[-1] - kept_us if trace.at_us.size else NEVER))
    held = Contents(caches.astype(_WHOLE), trace.distinct[rows].astype(_WHOLE), held_us[rows, caches])
    return Replay(outcomes, held)


def contents_at(
    trace: Trace,
    behaviour: Behaviour,
    replicas: int,
    at_us: int,
    start: Contents | None = None,
    kept_us: int = 0,
) -> Contents:
    """Return what the requests before `at_us` leave in caches that held `start` (None: nothing) before them.

    Expiries are on the trace's clock: `.shifted(-at_us)` makes `at_us` the origin. `kept_us`: entries that
    expired at most so long before are among them; not so where caches are bounded.
    """
    upto = int(np.searchsorted(trace.at_us, at_us))
    cut = [None if array is None else array[:upto] for array in (trace.lifetimes_us, trace.sizes)]
    before = Trace(trace.at_us[:upto], trace.keys[:upto], trace.replicas[:upto], *cut)
    held = replay_on(before, behaviour, replicas, start, kept_us).contents
    alive = held.expires_us > at_us - kept_us
    return Contents(held.caches[alive], held.keys[alive], held.expires_us[alive])


def _asked(trace: Trace, behaviour: Behaviour) -> Asked:
    count, nobody = trace.at_us.size, np.zeros(trace.at_us.size, _WHOLE)
    replicas = trace.replicas.astype(_WHOLE)
    lifetimes_us = trace.lifetimes_us
    if lifetimes_us is None:
        lifetimes_us = np.full(count, behaviour.ttl_us, _WHOLE)
    return Asked(
        trace.at_us.astype(_WHOLE),
        nobody if behaviour.shared else replicas,
        nobody if behaviour.shared and behaviour.lease else replicas,
        lifetimes_us.astype(_WHOLE),
    )


def _unbounded(
    trace: Trace, behaviour: Behaviour, replicas: int, start: Contents | None
) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    order = trace.order
    held_us = np.full((trace.distinct.size, behaviour.caches(replicas)), NEVER, _WHOLE)
    if start is not None and trace.distinct.size:
        rows = np.minimum(np.searchsorted(trace.distinct, start.keys), trace.distinct.size - 1)
        asked = trace.distinct[rows] == start.keys
        held_us[rows[asked], start.caches[asked]] = start.expires_us[asked]
    by_key = np.empty(trace.at_us.size, np.int8)
    replay_by_key(
        Asked(*(array[order] for array in _asked(trace, behaviour))),
        trace.starts, behaviour.fill_us, behaviour.joined, held_us, by_key,
    )  # fmt: skip
    outcomes = np.empty_like(by_key)
    outcomes[order] = by_key
    return outcomes, held_us


def _bounded(trace: Trace, behaviour: Behaviour, replicas: int, start: Contents, capacity: int) -> Replay:
    known, rows = np.unique(np.concatenate([trace.keys, start.keys]), return_inverse=True)
    asked, already = rows[: trace.keys.size].astype(_WHOLE), rows[trace.keys.size :].astype(_WHOLE)
    sizes = np.ones(known.size, _WHOLE)
    if trace.sizes is not None and trace.sizes.size:
        sizes[already] = int(trace.sizes.mean())
        sizes[asked] = trace.sizes
    caches, outcomes = behaviour.caches(replicas), np.empty(trace.at_us.size, np.int8)
    left, expires_us, evicted = replay_bounded(
        _asked(trace, behaviour), asked, sizes, (caches, replicas), behaviour.fill_us, behaviour.joined,
        capacity, already * caches + start.caches, start.expires_us.astype(_WHOLE), _NEVER_EMPTIED,
        outcomes,
    )  # fmt: skip
    held = Contents(left % caches, known[left // caches].astype(_WHOLE), expires_us)
    return Replay(outcomes, held, evicted)
