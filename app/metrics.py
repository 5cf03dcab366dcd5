"""What the app counts, in Prometheus' format.

Counting happens on the path of every hit, so it is plain integers; the library writes them out when asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
)  # fmt: skip


class Histogram:
    """How often something took how long, in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one more."""
        self._counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def family(self, name: str, text: str) -> Metric:
        """Return it in the library's terms: cumulative counts by upper bound."""
        bounds = [*(str(bound) for bound in _BOUNDS_S), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        return HistogramMetricFamily(name, text, buckets=buckets, sum_value=self._sum_s)


class Metrics(Collector):
    """The counters of one app: responses by outcome, calls by status, failures of Redis by reason."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.upstream: Counter[str] = Counter()
        self.redis_errors: Counter[str] = Counter()
        self.redis_seconds = Histogram()
        self.upstream_seconds = Histogram()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield everything counted so far."""
        yield _counter(
            "cache_requests", "Responses under /content by what happened.", "outcome", self.requests
        )
        yield _counter("upstream_requests", "Calls to the upstream by status.", "status", self.upstream)
        yield _counter(
            "cache_redis_errors", "Times that Redis could not be asked.", "reason", self.redis_errors
        )
        yield self.redis_seconds.family("redis_seconds", "Time that Redis took to answer.")
        yield self.upstream_seconds.family("upstream_seconds", "Time of upstream calls.")

    def text(self) -> bytes:
        """Return all counters as text."""
        return generate_latest(self._registry)


def _counter(name: str, text: str, label: str, counts: Counter[str]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    items: Iterable[tuple[str, int]] = sorted(counts.items())
    for value, count in items:
        family.add_metric([value], count)
    return family
