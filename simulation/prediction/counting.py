"""Calls and hits by TTL and hour, of one topology with one number of replicas."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scenarios.topologies import PredictedName
from simulation.prediction import kernels, plain
from simulation.prediction.kernels import CALLS, DELAYED, HITS, KINDS, L1_HITS, STALE, UNCHANGED
from simulation.prediction.life import Life
from simulation.prediction.routing import Replicas
from simulation.prediction.stream import Stream

Topology = PredictedName
_NO_LIVES: Final = np.empty(0, np.int32)
_ALONE: Final = 100_000  # requests below which one core is as fast as all
LEAST_PLAIN = 100_000  # requests from which on plain caches have their own loop
_PARTS: Final = 4  # of the work, for each core: keys are not equally much of it


@dataclass(frozen=True)
class Caching:
    """How the app caches, whatever the topology; times in seconds, as the scenario's `cache` has them."""

    fill_s: float = 0.0
    negative_ttl_s: float = 0.0
    revalidate_s: float = 0.0
    stale_s: float = 0.0
    l1_s: float = 0.0
    jitter: float = 0.0
    joined: bool = True
    lease: bool = False

    def rules(self, topology: Topology, seed: int) -> kernels.Rules:
        """Return them as the kernel takes them."""
        fill, negative, revalidate, stale, l1 = (
            round(seconds * 1e6)
            for seconds in (self.fill_s, self.negative_ttl_s, self.revalidate_s, self.stale_s, self.l1_s)
        )
        return kernels.Rules(
            fill, negative, revalidate, stale, l1, topology == "separate", self.joined, self.lease,
            float(self.jitter), seed,
        )  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What became of the counted requests. Arrays by TTL and hour; hits include those of the process's own.

    `calls` are upstream calls, `unchanged` those of them that a 304 answers. A stale answer's call is made
    behind it. `evicted` is by TTL.
    """

    requests: NDArray[np.int64]
    hits: NDArray[np.int64]
    l1_hits: NDArray[np.int64]
    delayed: NDArray[np.int64]
    stale: NDArray[np.int64]
    calls: NDArray[np.int64]
    unchanged: NDArray[np.int64]
    evicted: NDArray[np.int64]

    @classmethod
    def of(cls, found: NDArray[np.int64], requests: NDArray[np.int64], evicted: NDArray[np.int64]) -> Counts:
        """Take counts by TTL, hour and kind."""
        kinds = {
            name: found[:, :, kind]
            for name, kind in (("l1_hits", L1_HITS), ("delayed", DELAYED), ("stale", STALE),
                               ("calls", CALLS), ("unchanged", UNCHANGED))
        }  # fmt: skip
        return cls(requests, hits=found[:, :, HITS] + found[:, :, L1_HITS], evicted=evicted, **kinds)

    @property
    def waited(self) -> NDArray[np.int64]:
        """Requests that waited for a call of their own."""
        return self.requests - self.hits - self.delayed - self.stale


def count(
    stream: Stream,
    topology: Topology,
    caching: Caching,
    ttls_s: Sequence[float],
    replicas: Replicas,
    *,
    life: Life | None = None,
    count_from_s: Sequence[float] | None = None,
    seed: int = 1,
) -> Counts:
    """Count what becomes of a stream's requests, each going to its replica, from empty caches.

    Requests before `count_from_s` (by TTL) fill caches and are not counted.
    """
    ttls_us = np.round(np.array(ttls_s, float) * 1e6).astype(np.int64)
    from_us = np.zeros_like(ttls_us)
    if count_from_s is not None:
        from_us = np.round(np.array(count_from_s, float) * 1e6).astype(np.int64)
    from_each = {start: stream.requests_by_hour(start) for start in set(from_us.tolist())}
    requests = np.stack([from_each[start] for start in from_us.tolist()])
    evicted = np.zeros(ttls_us.size, np.int64)
    if topology == "none":
        found = np.zeros((*requests.shape, KINDS), np.int64)
        found[:, :, CALLS] = requests
        return Counts.of(found, requests, evicted)
    at_us, kept, hours = stream.by_key
    generations = lives = _NO_LIVES
    if life is not None and life.deployed_us:
        generations = life.generations(stream.at_us, replicas)[stream.order]
        lives = np.zeros_like(generations) if topology == "separate" else generations
    asked = kernels.Asked(at_us, replicas[stream.order], kept, hours, lives, generations)
    rules = caching.rules(topology, seed)
    found = _in_parts(stream, asked, int(replicas.max(initial=0)) + 1, ttls_us, from_us, rules)
    return Counts.of(found, requests, evicted)


def _in_parts(
    stream: Stream,
    asked: kernels.Asked,
    replicas: int,
    ttls_us: NDArray[np.int64],
    from_us: NDArray[np.int64],
    rules: kernels.Rules,
) -> NDArray[np.int64]:
    """Share the keys out among the cores: the loops let go of Python's lock."""
    starts, cores = stream.starts, len(os.sched_getaffinity(0))
    shape = (ttls_us.size, stream.hours, KINDS)
    # A second loop takes seconds to compile, once: few requests are not worth it.
    counted = _plain if starts[-1] >= LEAST_PLAIN and _is_plain(asked, rules) else _refined

    def part(keys: tuple[int, int]) -> NDArray[np.int64]:
        return counted(asked, starts, keys, replicas, ttls_us, from_us, rules, shape)

    if starts[-1] < _ALONE:
        return part((0, starts.size - 1))
    ends = np.linspace(0, starts[-1], cores * _PARTS + 1)
    bounds = np.unique(np.searchsorted(starts, ends)).tolist()
    with ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(part, itertools.pairwise(bounds)), np.zeros(shape, np.int64))


def _is_plain(asked: kernels.Asked, rules: kernels.Rules) -> bool:
    refined = rules.revalidate_us or rules.stale_us or rules.l1_us or rules.jitter or asked.lives.size
    return not refined


def _refined(
    asked: kernels.Asked,
    starts: NDArray[np.int64],
    keys: tuple[int, int],
    replicas: int,
    ttls_us: NDArray[np.int64],
    from_us: NDArray[np.int64],
    rules: kernels.Rules,
    shape: tuple[int, int, int],
) -> NDArray[np.int64]:
    found = np.zeros(shape, np.int64)
    kernels.count_by_key(asked, starts, keys, replicas, ttls_us, from_us, rules, found)
    return found


def _plain(
    asked: kernels.Asked,
    starts: NDArray[np.int64],
    keys: tuple[int, int],
    replicas: int,
    ttls_us: NDArray[np.int64],
    from_us: NDArray[np.int64],
    rules: kernels.Rules,
    shape: tuple[int, int, int],
) -> NDArray[np.int64]:
    found = np.zeros((shape[1], plain.KINDS, shape[0]), np.int64)
    plainly = plain.Plain(rules.fill_us, rules.negative_us, rules.shared, rules.joined, rules.lease)
    plain.count_plain(
        asked.at_us, asked.replicas, asked.kept, asked.hours, starts, keys, replicas, ttls_us, from_us,
        plainly, found,
    )  # fmt: skip
    placed = np.zeros(shape, np.int64)
    for at, kind in plain.PLACES:
        placed[:, :, kind] = found[:, at].T
    return placed
