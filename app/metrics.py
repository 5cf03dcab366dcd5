"""What the app counts, in Prometheus' format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest


class Metrics:
    """The counters of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "cache_requests",
            "Responses under /content by what happened.",
            ["outcome"],
            registry=self._registry,
        )
        self.upstream = Counter(
            "upstream_requests", "Calls to the upstream by status.", ["status"], registry=self._registry
        )
        self.redis_errors = Counter(
            "cache_redis_errors", "Times that Redis could not be asked.", ["reason"], registry=self._registry
        )
        self.upstream_seconds = Histogram(
            "upstream_seconds", "Time of upstream calls.", registry=self._registry
        )

    def text(self) -> bytes:
        """Return all counters as text."""
        return generate_latest(self._registry)
