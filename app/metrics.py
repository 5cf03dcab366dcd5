"""What the app counts, in Prometheus' format.

Counting happens on the path of every hit, so it is plain integers; the library writes them out when asked.
Where several workers serve one port, any of them may be asked: then they count in files that they share, as
the library does it (https://prometheus.github.io/client_python/multiprocess/).
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.environment import ConfigurationError

_log = logging.getLogger(__name__)
# The library reads it when it is imported.
_SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
_BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
)  # fmt: skip


class Histogram:
    """How often something took how long, in seconds."""

    def __init__(self, name: str, text: str) -> None:
        self._named = name, text
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self._sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one more."""
        self._counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def family(self) -> Metric:
        """Return it in the library's terms: cumulative counts by upper bound."""
        bounds = [*(str(bound) for bound in _BOUNDS_S), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        return HistogramMetricFamily(*self._named, buckets=buckets, sum_value=self._sum_s)


class _SharedCounts(Counter[str]):
    """Counts by a label, each of them written to this process's file, too."""

    def __init__(self, name: str, text: str, label: str) -> None:
        super().__init__()
        self._shared = prometheus_client.Counter(name, text, [label], registry=None)

    def __setitem__(self, value: str, count: int) -> None:
        self._shared.labels(value).inc(count - self[value])
        super().__setitem__(value, count)


class _SharedHistogram(Histogram):
    """A histogram in this process's file."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self._shared = prometheus_client.Histogram(name, text, buckets=_BOUNDS_S, registry=None)

    def observe(self, seconds: float) -> None:
        """Count one more."""
        self._shared.observe(seconds)


class _Counts(Counter[str]):
    """Counts by a label."""

    def __init__(self, name: str, text: str, label: str) -> None:
        super().__init__()
        self._named = name, text, label

    def family(self) -> Metric:
        """Return them in the library's terms."""
        name, text, label = self._named
        family = CounterMetricFamily(name, text, labels=[label])
        items: Iterable[tuple[str, int]] = sorted(self.items())
        for value, count in items:
            family.add_metric([value], count)
        return family


class Metrics(Collector):
    """The counters of one app: responses by outcome, calls by status, failures of Redis by reason.

    Raises:
        ConfigurationError: the folder that workers are to share is not there.
    """

    def __init__(self) -> None:
        folder = os.environ.get(_SHARED)
        if folder and not Path(folder).is_dir():
            raise ConfigurationError(f"{_SHARED}: there is no folder {folder}")
        self._shared = bool(folder)
        counts: Any = _SharedCounts if folder else _Counts
        histogram: Any = _SharedHistogram if folder else Histogram
        self.requests: Counter[str] = counts(
            "cache_requests", "Responses under /content by what happened.", "outcome"
        )
        self.upstream: Counter[str] = counts(
            "upstream_requests", "Calls to the upstream by status.", "status"
        )
        self.redis_errors: Counter[str] = counts(
            "cache_redis_errors", "Times that Redis could not be asked.", "reason"
        )
        self.redis_seconds: Histogram = histogram("redis_seconds", "Time that Redis took to answer.")
        self.upstream_seconds: Histogram = histogram("upstream_seconds", "Time of upstream calls.")
        self._registry = CollectorRegistry(auto_describe=False)
        if folder:
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        else:
            self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Yield everything counted so far, by this process."""
        for found in (self.requests, self.upstream, self.redis_errors):
            yield found.family()  # type: ignore[attr-defined]
        yield self.redis_seconds.family()
        yield self.upstream_seconds.family()

    def warn(self) -> None:
        """Say in the log if this process is one worker of several and counts for itself."""
        if not self._shared and multiprocessing.parent_process() is not None:
            _log.warning("/metrics counts this worker alone", extra={"unset": _SHARED})

    def text(self) -> bytes:
        """Return all counters as text."""
        return generate_latest(self._registry)
