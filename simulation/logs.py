"""A log's requests for the engine: how long what each of them brings is kept."""

from __future__ import annotations

from scenarios.model import Cache
from simulation.engine import Trace
from simulation.lifetimes import stored_us
from traffic.keys import Requests


def trace_of(requests: Requests, cache: Cache) -> Trace:
    """Return requests as the engine takes them; the cache's times are those of the requests' clock."""
    lifetimes = None if requests.statuses is None else stored_us(requests.statuses, cache)
    return Trace(requests.at_us, requests.keys, requests.replicas, lifetimes)
