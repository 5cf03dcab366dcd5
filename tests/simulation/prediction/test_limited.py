"""Caches with a limit of memory, against an oracle that evicts from an ordered dictionary."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.memory import SERVER_BYTES
from simulation.prediction.counting import Caching, Topology, count
from simulation.prediction.kernels import KEPT, NEGATIVE, NOT_KEPT
from simulation.prediction.life import Life
from simulation.prediction.limited import Memory, count_limited
from simulation.prediction.replays import Replays
from simulation.prediction.stream import HOUR_US, Stream

Request = tuple[int, int, int, int]  # when (µs), which key, of which replica, what is kept


@dataclass
class Oracle:
    """One event after the other, in µs."""

    topology: Topology
    caching: Caching
    lifetimes: dict[int, int]
    sizes: list[int]
    room: int
    restarts: list[tuple[int, int]]
    held: dict[int, OrderedDict[int, int]] = field(default_factory=dict)
    calls: list[tuple[int, int, int, int, int]] = field(
        default_factory=list
    )  # lands, cache, key, caller, life
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("hits", "calls", "delayed"), 0))

    def until(self, now: int) -> None:
        while self.restarts and self.restarts[0][0] <= now:
            _, replica = self.restarts.pop(0)
            if self.topology != "separate":
                self.held.pop(replica, None)
                self.calls = [call for call in self.calls if call[1] != replica]
        while self.calls and self.calls[0][0] <= now:
            lands, cache, key, _, life = self.calls.pop(0)
            held = self.held.setdefault(cache, OrderedDict())
            for old in [old for old, expires in held.items() if expires <= lands]:
                del held[old]
            if life > 0:
                held[key] = lands + life
                held.move_to_end(key)
                while sum(self.sizes[each] for each in held) > self.room:
                    held.popitem(last=False)

    def ask(self, now: int, key: int, replica: int, kept: int) -> None:
        self.until(now)
        shared = self.topology == "separate"
        cache, caller = (0 if shared else replica), (0 if shared and self.caching.lease else replica)
        held = self.held.setdefault(cache, OrderedDict())
        if held.get(key, now) > now:
            held.move_to_end(key)
            self.counts["hits"] += 1
        elif self.caching.joined and any(call[2] == key and call[3] == caller for call in self.calls):
            self.counts["delayed"] += 1
        else:
            self.counts["calls"] += 1
            fill = round(self.caching.fill_s * 1e6)
            self.calls.append((now + fill, cache, key, caller, self.lifetimes[kept]))


requests = st.lists(
    st.tuples(
        st.integers(0, 80), st.integers(0, 4), st.integers(0, 2), st.sampled_from([KEPT, NEGATIVE, NOT_KEPT])
    ),
    min_size=1,
    max_size=60,
).map(lambda listed: sorted(listed, key=lambda each: each[0]))


@given(
    asked=requests,
    topology=st.sampled_from(["sidecar", "separate"]),
    fill=st.integers(0, 20),
    joined=st.booleans(),
    lease=st.booleans(),
    ttl=st.integers(1, 60),
    negative=st.integers(0, 20),
    sizes=st.lists(st.integers(1, 4), min_size=5, max_size=5),
    room=st.integers(0, 12),
    deployed=st.lists(st.integers(1, 90), max_size=2, unique=True).map(sorted),
    step=st.integers(0, 9),
)
@settings(max_examples=400, deadline=None)
def test_it_counts_what_an_oracle_counts(
    asked: list[Request], topology: Topology, fill: int, joined: bool, lease: bool, ttl: int, negative: int,
    sizes: list[int], room: int, deployed: list[int], step: int,
) -> None:  # fmt: skip
    caching = Caching(fill_s=fill / 1e6, negative_ttl_s=negative / 1e6, joined=joined, lease=lease)
    restarts = sorted((at + replica * step, replica) for at in deployed for replica in range(3))
    lifetimes = {KEPT: ttl, NEGATIVE: negative, NOT_KEPT: 0}
    oracle = Oracle(topology, caching, lifetimes, sizes, room, restarts)
    for request in asked:
        oracle.ask(*request)
    at_us, keys, replicas, kept = (np.array(column) for column in zip(*asked, strict=True))
    stream = Stream(at_us, keys.astype(np.int32), kept.astype(np.int8), int(at_us[-1]) + 1)
    found = count_limited(
        stream, topology, caching, [ttl / 1e6], replicas.astype(np.int16),
        Memory(np.array(sizes), each=SERVER_BYTES + room), callers=3, life=Life(tuple(deployed), step),
    )  # fmt: skip
    assert {name: int(getattr(found, name).sum()) for name in oracle.counts} == oracle.counts


@pytest.fixture(scope="module")
def stream() -> Stream:
    random = np.random.default_rng(4)
    at_us = np.sort(random.integers(0, 4 * HOUR_US, 40_000))
    keys = np.minimum(random.zipf(1.2, 40_000), 2000).astype(np.int32) - 1
    return Stream(at_us, keys, np.full(40_000, KEPT, np.int8), 4 * HOUR_US)


def test_room_for_everything_is_no_limit(stream: Stream) -> None:
    replicas = np.random.default_rng(5).integers(0, 3, 40_000, np.int16)
    caching, ttls_s = Caching(fill_s=0.02), [60.0, 3600.0]
    memory = Memory(np.full(2000, 1000), each=SERVER_BYTES + 2_000_000)
    for topology in ("sidecar", "separate"):
        limited = count_limited(stream, topology, caching, ttls_s, replicas, memory, callers=3)
        free = count(stream, topology, caching, ttls_s, replicas)
        for name in ("requests", "hits", "calls", "delayed"):
            assert getattr(limited, name).tolist() == getattr(free, name).tolist()
        assert limited.evicted.tolist() == [0, 0]


def test_shares_of_a_memory_hold_less_than_the_whole_of_it(stream: Stream) -> None:
    """N sidecars of memory/N against one Redis of all: both effects in one."""
    entries = np.full(2000, 10_000)
    replays = Replays(stream, Caching(), memory=Memory(entries, total=8 * SERVER_BYTES + 4_000_000))
    free = Replays(stream, Caching())
    sidecar, separate = (replays.outcomes(topology, 8, [3600.0])[0] for topology in ("sidecar", "separate"))
    unlimited = free.outcomes("sidecar", 8, [3600.0])[0]
    assert sidecar.evicted > 0
    assert sidecar.total_calls > unlimited.total_calls
    assert separate.total_calls < sidecar.total_calls
