"""Calls and hits where caches have a limit of memory: an exact LRU by bytes (`simulation.bounded`).

Redis evicts the oldest of five sampled entries and not the oldest of all, and finds expired entries by
sampling; both cost a little more than what is counted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.bounded import replay_bounded
from simulation.kernels import Asked
from simulation.memory import SERVER_BYTES
from simulation.outcomes import DELAYED, HIT, MISS
from simulation.prediction import kernels
from simulation.prediction.counting import Caching, Counts, Topology
from simulation.prediction.kernels import KEPT, KINDS, NEGATIVE
from simulation.prediction.life import Life
from simulation.prediction.routing import Replicas
from simulation.prediction.stream import HOUR_US, Integers, Stream

_OUTCOMES: Final = {HIT: kernels.HITS, MISS: kernels.CALLS, DELAYED: kernels.DELAYED}


@dataclass(frozen=True, eq=False)
class Memory:
    """Limits of memory in bytes: of each Redis, or of all together in equal shares; None: no limit.

    `entries` has the bytes that each key's entry takes, by the key's number.
    """

    entries: Integers
    each: int | None = None
    total: int | None = None

    def room(self, topology: Topology, replicas: int) -> int | None:
        """Return the bytes that each cache has for entries; None: no limit."""
        limit = self.each
        if self.total is not None:
            limit = self.total if topology == "separate" else self.total // replicas
        return None if limit is None else max(limit - SERVER_BYTES, 0)

    def binds(self, topology: Topology, replicas: int) -> bool:
        """Tell whether a cache may have to evict: whether all keys together are more than it has room for."""
        room = self.room(topology, replicas)
        return topology != "none" and room is not None and int(self.entries.sum()) > room


def count_limited(
    stream: Stream,
    topology: Topology,
    caching: Caching,
    ttls_s: Sequence[float],
    replicas: Replicas,
    memory: Memory,
    *,
    callers: int,
    life: Life | None = None,
    count_from_s: Sequence[float] | None = None,
) -> Counts:
    """Count as `counting.count` does, in caches with a limit; `callers` is the number of replicas.

    Expired copies are not kept, there is no cache in front, and a TTL does not vary.
    """
    shared = topology == "separate"
    caches, room = (1 if shared else callers), memory.room(topology, callers)
    assert room is not None, "asked only where there is a limit"
    nobody = np.zeros(stream.at_us.size, np.int64)
    to = replicas.astype(np.int64)
    emptied = np.empty((0, 2), np.int64)
    if life is not None and not shared:
        emptied = np.array(life.restarts(callers), np.int64).reshape(-1, 2)
    empty = np.empty(0, np.int64)
    found = np.zeros((len(ttls_s), stream.hours, KINDS), np.int64)
    evicted, requests = np.zeros(len(ttls_s), np.int64), []
    outcomes = np.empty(stream.at_us.size, np.int8)
    for at, ttl_s in enumerate(ttls_s):
        asked = Asked(
            stream.at_us, nobody if shared else to, nobody if shared and caching.lease else to,
            _lifetimes(stream, ttl_s, caching),
        )  # fmt: skip
        _, _, evicted[at] = replay_bounded(
            asked, stream.keys.astype(np.int64), memory.entries, (caches, callers),
            round(caching.fill_s * 1e6), caching.joined, room, empty, empty, emptied, outcomes,
        )  # fmt: skip
        from_us = round(count_from_s[at] * 1e6) if count_from_s is not None else 0
        requests.append(stream.requests_by_hour(from_us))
        first = int(np.searchsorted(stream.at_us, from_us))
        hours = stream.at_us[first:] // HOUR_US
        for outcome, kind in _OUTCOMES.items():
            chosen = hours[outcomes[first:] == outcome]
            found[at, :, kind] = np.bincount(chosen, minlength=stream.hours)
    return Counts.of(found, np.stack(requests), evicted)


def _lifetimes(stream: Stream, ttl_s: float, caching: Caching) -> NDArray[np.int64]:
    """Return for how long what each request's call brings is kept (µs; 0: not at all)."""
    by_kind = np.zeros(3, np.int64)
    by_kind[KEPT], by_kind[NEGATIVE] = round(ttl_s * 1e6), round(caching.negative_ttl_s * 1e6)
    return np.asarray(by_kind[stream.kept])
