"""A cache that knows no delay but the fill: what theory and the app are held against."""

from __future__ import annotations

from collections.abc import Iterable

from reports.theory import Caches

Request = tuple[float, int, int]  # when (s), which key, of which replica


def asked(requests: Iterable[Request], caches: Caches) -> tuple[int, int]:
    """Return how many calls requests in order of time make, and how many of them wait for another's call."""
    fills: dict[tuple[int, int], list[float]] = {}
    flights: dict[tuple[int, int], float] = {}
    calls = delayed = 0
    for at_s, key, replica in requests:
        landed = fills.setdefault((key, 0 if caches.shared else replica), [])
        if any(fill_s <= at_s < fill_s + caches.ttl_s for fill_s in landed):
            continue
        if caches.joined and flights.get((key, replica), -1.0) > at_s:
            delayed += 1
            continue
        calls += 1
        flights[key, replica] = at_s + caches.fill_s
        landed.append(at_s + caches.fill_s)
    return calls, delayed
