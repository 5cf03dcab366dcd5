"""Counts against an oracle that knows nothing of them, and against figures that are known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.prediction import counting
from simulation.prediction.counting import Caching, Counts, Topology, count
from simulation.prediction.kernels import KEPT, NEGATIVE, NOT_KEPT
from simulation.prediction.life import Life
from simulation.prediction.replays import Replays
from simulation.prediction.routing import Routing, route
from simulation.prediction.stream import HOUR_US, Stream
from traffic import logs

NASA = Path(__file__).parents[4] / "shared" / "traces" / "nasa-1995-08-01-a.log.gz"
Request = tuple[int, int, int, int]  # when (µs), which key, of which replica, what is kept


@dataclass
class Entry:
    """What a cache holds of a key."""

    expires: int
    whole: bool  # of a 200: can be served stale, and asked for with its ETag


@dataclass
class Oracle:
    """One event after the other, with dictionaries: slow, and written without a look at the kernel. In µs."""

    topology: Topology
    caching: Caching
    ttl: int
    restarts: list[tuple[int, int]]  # when, which replica
    held: dict[tuple[int, int], Entry] = field(default_factory=dict)
    remembered: dict[tuple[int, int], int] = field(default_factory=dict)
    calls: list[tuple[int, int, int, int, int]] = field(
        default_factory=list
    )  # lands, cache, key, caller, kept
    tally: Counter[str] = field(default_factory=Counter)

    def restart_until(self, now: int) -> None:
        while self.restarts and self.restarts[0][0] <= now:
            at, replica = self.restarts.pop(0)
            self.land_until(at)
            self.remembered = {k: v for k, v in self.remembered.items() if k[0] != replica}
            if self.topology != "separate":
                self.held = {k: v for k, v in self.held.items() if k[0] != replica}
                self.calls = [call for call in self.calls if call[1] != replica]
            elif not self.caching.lease:
                # The new process does not know of the old one's call, which lands all the same.
                self.calls = [(*c[:3], -1 if c[3] == replica else c[3], c[4]) for c in self.calls]

    def land_until(self, now: float) -> None:
        while self.calls and self.calls[0][0] <= now:
            lands, cache, key, _, kept = self.calls.pop(0)
            if kept == KEPT:
                self.held[cache, key] = Entry(lands + self.ttl, whole=True)
            elif kept == NEGATIVE:
                self.held[cache, key] = Entry(lands + us(self.caching.negative_ttl_s), whole=False)

    def ask(self, now: int, key: int, replica: int, kept: int) -> None:
        self.restart_until(now)
        self.land_until(now)
        shared = self.topology == "separate"
        cache, caller = (0 if shared else replica), (0 if shared and self.caching.lease else replica)
        entry = self.held.get((cache, key))
        under_way = any(call[2] == key and call[3] == caller for call in self.calls)
        if self.remembered.get((replica, key), now) > now:
            self.tally["l1"] += 1
        elif entry is not None and now < entry.expires:
            self.tally["hit"] += 1
            if self.caching.l1_s:
                self.remembered[replica, key] = min(now + us(self.caching.l1_s), entry.expires)
        elif entry is not None and entry.whole and now < entry.expires + us(self.caching.stale_s):
            self.tally["stale"] += 1
            if not under_way:
                self.call(now, cache, key, caller, kept, entry)
        elif self.caching.joined and under_way:
            self.tally["delayed"] += 1
        else:
            self.tally["miss"] += 1
            self.call(now, cache, key, caller, kept, entry)

    def call(self, now: int, cache: int, key: int, caller: int, kept: int, entry: Entry | None) -> None:
        self.tally["calls"] += 1
        whole = entry is not None and entry.whole and now < entry.expires + us(self.caching.revalidate_s)
        self.tally["unchanged"] += whole and kept == KEPT
        self.calls.append((now + us(self.caching.fill_s), cache, key, caller, kept))


def us(seconds: float) -> int:
    return round(seconds * 1e6)


short = st.integers(0, 30).map(lambda each: each / 1e6)
cachings = st.builds(
    Caching,
    fill_s=short,
    negative_ttl_s=short,
    revalidate_s=st.just(0.0) | short,
    stale_s=st.just(0.0) | short,
    l1_s=st.just(0.0) | short,
    joined=st.booleans(),
    lease=st.booleans(),
)
requests = st.lists(
    st.tuples(
        st.integers(0, 80), st.integers(0, 3), st.integers(0, 2), st.sampled_from([KEPT, NEGATIVE, NOT_KEPT])
    ),
    min_size=1,
    max_size=60,
).map(lambda listed: sorted(listed, key=lambda each: each[0]))


def stream_of(asked: list[Request]) -> tuple[Stream, np.ndarray]:
    at_us, keys, replicas, kept = (np.array(column) for column in zip(*asked, strict=True))
    stream = Stream(at_us, keys.astype(np.int32), kept.astype(np.int8), int(at_us[-1]) + 1)
    return stream, replicas.astype(np.int16)


@given(
    asked=requests,
    topology=st.sampled_from(["sidecar", "separate"]),
    caching=cachings,
    ttl=st.integers(0, 40),
    deployed=st.lists(st.integers(1, 90), max_size=3, unique=True).map(sorted),
    step=st.integers(0, 9),
)
@settings(max_examples=600, deadline=None)
def test_it_counts_what_an_oracle_counts(
    asked: list[Request], topology: Topology, caching: Caching, ttl: int, deployed: list[int], step: int
) -> None:
    stream, replicas = stream_of(asked)
    restarts = sorted((at + replica * step, replica) for at in deployed for replica in range(3))
    oracle = Oracle(topology, caching, ttl, restarts)
    for request in asked:
        oracle.ask(*request)
    found = count(stream, topology, caching, [ttl / 1e6], replicas, life=Life(tuple(deployed), step))
    assert totals(found) == {
        "hits": oracle.tally["hit"] + oracle.tally["l1"],
        "l1_hits": oracle.tally["l1"],
        "delayed": oracle.tally["delayed"],
        "stale": oracle.tally["stale"],
        "calls": oracle.tally["calls"],
        "unchanged": oracle.tally["unchanged"],
        "waited": oracle.tally["miss"],
    }


@given(
    asked=requests,
    topology=st.sampled_from(["sidecar", "separate"]),
    caching=st.builds(Caching, fill_s=short, negative_ttl_s=short, joined=st.booleans(), lease=st.booleans()),
    ttls=st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True),
    from_us=st.integers(0, 60),
)
@settings(max_examples=600, deadline=None)
def test_plain_caches_count_what_an_oracle_counts(
    asked: list[Request], topology: Topology, caching: Caching, ttls: list[int], from_us: int
) -> None:
    """Many TTLs at once, each of them alone by the oracle; what comes early is not counted."""
    stream, replicas = stream_of(asked)
    ttls_s, from_s = [ttl / 1e6 for ttl in ttls], [from_us / 1e6] * len(ttls)
    with mock.patch.object(counting, "LEAST_PLAIN", 0):
        found = count(stream, topology, caching, ttls_s, replicas, count_from_s=from_s)
    for at, ttl in enumerate(ttls):
        oracle = Oracle(topology, caching, ttl, [])
        for request in asked:
            if request[0] < from_us:
                oracle.ask(*request)
        oracle.tally.clear()
        for request in asked:
            if request[0] >= from_us:
                oracle.ask(*request)
        mine = totals(found, at)
        assert mine["hits"] == oracle.tally["hit"]
        assert mine["delayed"] == oracle.tally["delayed"]
        assert mine["calls"] == mine["waited"] == oracle.tally["calls"]


def totals(found: Counts, at: int = 0) -> dict[str, int]:
    names = ("hits", "l1_hits", "delayed", "stale", "calls", "unchanged", "waited")
    return {name: int(getattr(found, name)[at].sum()) for name in names}


@given(
    asked=requests, caching=cachings, ttls=st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True)
)
@settings(max_examples=100, deadline=None)
def test_many_ttls_at_once_are_each_of_them_alone(
    asked: list[Request], caching: Caching, ttls: list[int]
) -> None:
    stream, replicas = stream_of(asked)
    ttls_s = [ttl / 1e6 for ttl in ttls]
    together = count(stream, "sidecar", caching, ttls_s, replicas)
    for at, ttl_s in enumerate(ttls_s):
        assert totals(together, at) == totals(count(stream, "sidecar", caching, [ttl_s], replicas))


def test_hours_and_what_is_not_counted() -> None:
    at_us = np.array([0, 10, HOUR_US - 1, HOUR_US, HOUR_US + 5, 2 * HOUR_US + 1])
    stream = Stream(at_us, np.zeros(6, np.int32), np.full(6, KEPT, np.int8), 2 * HOUR_US + 2)
    nobody = np.zeros(6, np.int16)
    found = count(stream, "separate", Caching(), [1e-5, 3600.0], nobody)
    assert found.requests.tolist() == [[3, 2, 1], [3, 2, 1]]
    assert found.calls.tolist() == [[3, 0, 1], [1, 1, 1]]
    later = count(stream, "separate", Caching(), [1e-5, 3600.0], nobody, count_from_s=[1e-5, 3600.0])
    assert later.requests.tolist() == [[2, 2, 1], [0, 2, 1]]
    assert later.calls.tolist() == [[2, 0, 1], [0, 1, 1]]


def test_without_a_cache_each_request_is_a_call() -> None:
    stream, replicas = stream_of([(0, 1, 0, KEPT), (1, 1, 0, KEPT), (2, 1, 0, NOT_KEPT)])
    found = count(stream, "none", Caching(), [5.0], replicas)
    assert totals(found) == {
        "hits": 0, "l1_hits": 0, "delayed": 0, "stale": 0, "calls": 3, "unchanged": 0, "waited": 3,
    }  # fmt: skip


def test_jitter_moves_calls_and_its_mean_is_the_ttl() -> None:
    at_us = np.arange(200_000, dtype=np.int64) * 1000
    stream = Stream(at_us, np.zeros(at_us.size, np.int32), np.full(at_us.size, KEPT, np.int8), int(at_us[-1]))
    nobody = np.zeros(at_us.size, np.int16)
    even, jittered = (
        totals(count(stream, "separate", Caching(jitter=jitter), [1.0], nobody))["calls"]
        for jitter in (0.0, 0.5)
    )
    assert even == 200
    assert jittered != even
    assert jittered == pytest.approx(even, rel=0.1)


@pytest.mark.skipif(not NASA.is_file(), reason=f"{NASA} is not here")
def test_a_real_log_makes_the_calls_that_are_known_of_it() -> None:
    """Figures of an independent simulation: 40 routings, mean ± standard deviation of one."""
    log = logs.read([NASA])
    got = ~log.heads
    stream = Stream(log.at_us[got], log.keys[got], np.full(int(got.sum()), KEPT, np.int8), log.end_us)
    assert stream.at_us.size == 13_159
    replays = Replays(stream, Caching())
    ttls_s = [300.0, 3600.0, 21_600.0]
    shared = replays.outcomes("separate", 6, ttls_s)
    assert [outcome.total_calls for outcome in shared] == [6304, 3043, 1743]
    known = {
        2: [(7540, 19), (3910, 11), (2387, 10)],
        6: [(9471, 25), (5506, 19), (3632, 15)],
        16: [(10_995, 22), (7109, 22), (4977, 17)],
    }
    for replicas, wanted in known.items():
        for outcome, (mean, sd) in zip(replays.outcomes("sidecar", replicas, ttls_s), wanted, strict=True):
            assert outcome.total_calls == pytest.approx(mean, abs=4 * sd * (1 / 40 + 1 / 20) ** 0.5 + 0.5)


@pytest.mark.parametrize("routing", ["round-robin", "hash", "sticky"])
def test_routing_is_what_its_name_says(routing: Routing) -> None:
    random = np.random.default_rng(2)
    at_us = np.arange(4000, dtype=np.int64)
    keys, clients = random.integers(0, 50, 4000, np.int32), random.integers(0, 30, 4000, np.int32)
    stream = Stream(at_us, keys, np.full(4000, KEPT, np.int8), 4000, clients)
    to = route(stream, routing, 4, 1)
    assert set(to.tolist()) == {0, 1, 2, 3}
    names = {"round-robin": at_us % 4, "hash": keys, "sticky": clients}[routing]
    assert all(len(set(to[names == name].tolist())) == 1 for name in set(names.tolist()))


def test_hashed_paths_make_shards_of_one_cache() -> None:
    random = np.random.default_rng(3)
    at_us = np.sort(random.integers(0, 3 * HOUR_US, 20_000))
    keys = random.integers(0, 500, 20_000, np.int32)
    stream = Stream(at_us, keys, np.full(20_000, KEPT, np.int8), 3 * HOUR_US)
    caching = Caching(fill_s=0.02, lease=True)
    hashed = Replays(stream, caching, "hash").outcomes("sidecar", 6, [600.0])[0]
    shared = Replays(stream, caching).outcomes("separate", 6, [600.0])[0]
    assert hashed.total_calls == shared.total_calls
    assert hashed.hits == shared.hits
