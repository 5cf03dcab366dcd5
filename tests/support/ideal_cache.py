"""A cache that knows no delay but the fill: theory and the app are compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reports.theory import Caches

Request = tuple[float, int, int]  # when (s), which key, of which replica


def asked(
    requests: Iterable[Request], caches: Caches, held_until_s: Mapping[tuple[int, int], float] | None = None
) -> tuple[int, int]:
    """Return how many calls requests in order of time make, and how many of them wait for another's call.

    `held_until_s` says until when copies last that are there at time 0, by key and cache.
    """
    copies = {place: [(0.0, until_s)] for place, until_s in (held_until_s or {}).items()}
    flights: dict[tuple[int, int], float] = {}
    calls = delayed = 0
    for at_s, key, replica in requests:
        held = copies.setdefault((key, 0 if caches.shared else replica), [])
        if any(since_s <= at_s < until_s for since_s, until_s in held):
            continue
        if caches.joined and flights.get((key, replica), -1.0) > at_s:
            delayed += 1
            continue
        calls += 1
        flights[key, replica] = at_s + caches.fill_s
        held.append((at_s + caches.fill_s, at_s + caches.fill_s + caches.ttl_s))
    return calls, delayed
