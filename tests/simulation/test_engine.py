"""The engine against an independent, slow oracle, against examples and against theory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.engine import Behaviour, Contents, Trace, contents_at, replay, replay_on
from simulation.outcomes import DELAYED, HIT, MISS

SECOND = 1_000_000
Request = tuple[int, int, int]  # when, which key, to which replica


def trace(
    requests: list[Request], lifetimes: list[int] | None = None, sizes: list[int] | None = None
) -> Trace:
    at_us, keys, replicas = (np.array([each[i] for each in requests], np.int64) for i in range(3))
    kept = None if lifetimes is None else np.array(lifetimes, np.int64)
    return Trace(at_us, keys, replicas, kept, None if sizes is None else np.array(sizes, np.int64))


class Oracle:
    """One dictionary per cache, one event after the other: slow, and written without a look at the engine."""

    def __init__(self, behaviour: Behaviour, sizes: dict[int, int]) -> None:
        self.behaviour = behaviour
        self.sizes = sizes
        self.caches: dict[int, OrderedDict[int, int]] = {}
        self.calls: list[tuple[int, int, int, Any, int]] = []  # lands, cache, key, caller, lifetime
        self.evicted = 0

    def land_until(self, now: float) -> None:
        while self.calls and self.calls[0][0] <= now:
            lands, cache, key, _, lifetime = self.calls.pop(0)
            if lifetime > 0:
                self.put(cache, key, lands, lifetime)

    def put(self, cache: int, key: int, lands: int, lifetime: int) -> None:
        held = self.caches.setdefault(cache, OrderedDict())
        for old in [old for old, expires in held.items() if expires <= lands]:
            del held[old]
        held[key] = lands + lifetime
        held.move_to_end(key)
        capacity = self.behaviour.capacity
        while capacity is not None and sum(self.sizes[each] for each in held) > capacity:
            held.popitem(last=False)
            self.evicted += 1

    def ask(self, now: int, key: int, replica: int, lifetime: int) -> int:
        self.land_until(now)
        cache = 0 if self.behaviour.shared else replica
        caller = None if self.behaviour.shared and self.behaviour.lease else replica
        held = self.caches.setdefault(cache, OrderedDict())
        if held.get(key, now) > now:
            held.move_to_end(key)
            return HIT
        if self.behaviour.joined and any(call[2] == key and call[3] == caller for call in self.calls):
            return DELAYED
        self.calls.append((now + self.behaviour.fill_us, cache, key, caller, lifetime))
        return MISS


request_lists = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 4), st.integers(0, 2)), max_size=60
).map(sorted)
behaviours = st.builds(
    Behaviour,
    ttl_us=st.integers(1, 40),
    fill_us=st.integers(0, 50),
    shared=st.booleans(),
    joined=st.booleans(),
    lease=st.booleans(),
    capacity=st.none() | st.integers(1, 12),
)


@given(requests=request_lists, behaviour=behaviours, data=st.data())
@settings(max_examples=500, deadline=None)
def test_it_agrees_with_the_oracle_on_each_request_and_on_what_is_left(
    requests: list[Request], behaviour: Behaviour, data: st.DataObject
) -> None:
    count = len(requests)
    # In caches with a limit there are two lifetimes: the TTL, and that of a 404.
    drawn = st.integers(0, 40)
    if behaviour.capacity is not None:
        drawn = st.sampled_from([0, behaviour.ttl_us, data.draw(st.integers(1, 40))])
    lifetimes = data.draw(st.lists(drawn, min_size=count, max_size=count))
    sizes = dict(enumerate(data.draw(st.lists(st.integers(1, 4), min_size=5, max_size=5))))
    oracle = Oracle(behaviour, sizes)
    wanted = [oracle.ask(*request, lifetime) for request, lifetime in zip(requests, lifetimes, strict=True)]
    asked = trace(requests, lifetimes, [sizes[key] for _, key, _ in requests])
    found = replay_on(asked, behaviour, 3)
    assert found.outcomes.tolist() == wanted
    last = requests[-1][0] + behaviour.fill_us if requests else 0  # when all calls have landed
    oracle.land_until(float("inf"))
    left = {(at, key, end) for at, held in oracle.caches.items() for key, end in held.items() if end > last}
    arrays = (found.contents.caches, found.contents.keys, found.contents.expires_us)
    entries = set(zip(*(array.tolist() for array in arrays), strict=True))
    assert {entry for entry in entries if entry[2] > last} == left
    assert found.evicted == oracle.evicted


@given(requests=request_lists.filter(len), behaviour=behaviours, cut=st.integers(0, 61))
@settings(max_examples=300, deadline=None)
def test_a_replay_resumes_from_the_contents_that_an_earlier_one_left(
    requests: list[Request], behaviour: Behaviour, cut: int
) -> None:
    behaviour = replace(behaviour, fill_us=0)  # or else calls may be under way at the cut
    whole = trace(requests, sizes=[1] * len(requests))
    later = [request for request in requests if request[0] >= cut]
    start = contents_at(whole, behaviour, 3, cut)
    resumed = replay(trace(later, sizes=[1] * len(later)), behaviour, 3, start)
    assert resumed.tolist() == replay(whole, behaviour, 3)[len(requests) - len(later) :].tolist()


def test_a_request_hits_from_when_a_fill_lands_until_its_entry_expires() -> None:
    asked = trace([(0, 7, 0), (4, 7, 0), (5, 7, 0), (14, 7, 0), (15, 7, 0)])
    assert replay(asked, Behaviour(ttl_us=10, fill_us=5), 1).tolist() == [MISS, DELAYED, HIT, HIT, MISS]


def test_what_is_not_kept_is_asked_for_again() -> None:
    asked = trace([(0, 1, 0), (1, 1, 0), (2, 1, 0)], lifetimes=[0, 100, 100])
    assert replay(asked, Behaviour(ttl_us=100), 1).tolist() == [MISS, MISS, HIT]


def test_entries_that_nobody_asks_for_take_memory() -> None:
    start = Contents(np.array([0, 0]), np.array([8, 9]), np.array([SECOND, SECOND]))
    asked = trace([(0, 1, 0), (1, 9, 0), (2, 8, 0)])
    assert replay(asked, Behaviour(SECOND, capacity=2), 1, start).tolist() == [MISS, HIT, MISS]
    assert replay(asked, Behaviour(SECOND), 1, start).tolist() == [MISS, HIT, HIT]


@pytest.mark.parametrize("times", [[1, 0], [0, 1, 2]])
def test_a_trace_is_in_order_and_its_arrays_are_of_one_length(times: list[int]) -> None:
    with pytest.raises(ValueError, match=r"in order of time|of one length"):
        Trace(np.array(times), np.zeros(2, np.int64), np.zeros(2, np.int64))


@pytest.mark.parametrize(("replicas", "shared"), [(1, False), (4, True), (4, False)])
def test_poisson_traffic_makes_the_calls_of_theory(replicas: int, shared: bool) -> None:
    """In the long run λ/(1 + λ(T + L)) calls a second at each cache (Jung et al., INFOCOM 2003)."""
    random = np.random.default_rng(5)
    rate, ttl_s, fill_s, span_s = 0.8, 3.0, 0.25, 200_000.0
    at_us = np.sort(random.integers(0, int(span_s * 1e6), random.poisson(rate * span_s)))
    asked = Trace(at_us, np.zeros(at_us.size, np.int64), random.integers(0, replicas, at_us.size))
    behaviour = Behaviour(int(ttl_s * 1e6), int(fill_s * 1e6), shared=shared, lease=True)
    calls = int((replay(asked, behaviour, replicas) == MISS).sum())
    caches = behaviour.caches(replicas)
    expected = rate / (1 + rate / caches * (ttl_s + fill_s)) * span_s
    # Calls come more evenly than a Poisson process: a dead time and an exponential wait lie between two.
    assert abs(calls - expected) < 4 * expected**0.5
