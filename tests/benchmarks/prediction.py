"""How fast predictions are counted: 10 million requests over 1 million keys, 20 TTLs × 7 numbers of replicas.

    python tests/benchmarks/prediction.py

Prints the time to sort, the time of all 280 combinations, how much memory the process took at most, and what
a plain Python loop takes for one of them, by a tenth of the requests.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from simulation.prediction.counting import Caching, count
from simulation.prediction.kernels import KEPT
from simulation.prediction.routing import route
from simulation.prediction.stream import HOUR_US, Stream

REQUESTS, KEYS, SKEW, HOURS = 10_000_000, 1_000_000, 0.9, 24
TTLS_S = np.geomspace(60, 86_400, 20).tolist()
REPLICAS = (1, 2, 3, 4, 6, 8, 16)
CACHING = Caching(fill_s=0.022)


def stream() -> Stream:
    random = np.random.default_rng(1)
    upto = np.cumsum(np.arange(1, KEYS + 1.0) ** -SKEW)
    keys = np.searchsorted(upto / upto[-1], random.random(REQUESTS)).clip(0, KEYS - 1).astype(np.int32)
    at_us = np.sort(random.integers(0, HOURS * HOUR_US, REQUESTS))
    return Stream(at_us, keys, np.full(REQUESTS, KEPT, np.int8), HOURS * HOUR_US)


def loop(requests: Stream, ttl_s: float) -> int:
    """Count the misses of one shared cache as one writes it in Python."""
    expires: dict[int, int] = {}
    ttl_us, fill_us, misses = round(ttl_s * 1e6), round(CACHING.fill_s * 1e6), 0
    for at_us, key in zip(requests.at_us.tolist(), requests.keys.tolist(), strict=True):
        if expires.get(key, 0) <= at_us:
            misses += 1
            expires[key] = at_us + fill_us + ttl_us
    return misses


def main() -> None:
    requests = stream()
    count(requests, "separate", CACHING, TTLS_S[:1], route(requests, "random", 2, 1))  # compiles
    requests = stream()
    began = time.perf_counter()
    _ = requests.starts, requests.by_key
    sorted_s = time.perf_counter() - began
    began = time.perf_counter()
    for replicas in REPLICAS:
        to = route(requests, "random", replicas, 1)
        for topology in ("sidecar", "separate"):
            count(requests, topology, CACHING, TTLS_S, to)
    counted_s = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    tenth = Stream(requests.at_us[::10], requests.keys[::10], requests.kept[::10], requests.span_us)
    began = time.perf_counter()
    loop(tenth, 3600.0)
    looped_s = 10 * (time.perf_counter() - began)
    combinations = 2 * len(REPLICAS) * len(TTLS_S)
    print(
        f"sorted once in {sorted_s:.1f} s; {combinations} combinations in {counted_s:.1f} s; "
        f"{peak:.2f} GB at most"
    )
    print(
        f"a Python loop takes {looped_s:.1f} s for one: "
        f"{looped_s * combinations / counted_s:,.0f} times as long"
    )


if __name__ == "__main__":
    main()
