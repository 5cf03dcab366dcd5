"""Counts: the app's own metrics, those of the upstream, and what a Redis evicted."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from prometheus_client.parser import text_string_to_metric_families
from redis.backoff import NoBackoff
from redis.retry import Retry

from compose.stack import StackError
from scenarios.contract import OUR_APP, App
from scenarios.facts import AppFacts, UpstreamFacts

_TIMEOUT_S: Final = 5.0


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)


def get(
    url: str,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Ask a server and return status and body.

    Raises:
        OSError: it does not answer.
    """
    connection = _connection(url)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(f"{url}{path}: {error}") from error
    finally:
        connection.close()


def ready(url: str, path: str = OUR_APP.ready) -> bool:
    """Tell whether a server answers that it is ready."""
    try:
        return get(url, path)[0] == 200
    except OSError:
        return False


def app_counts(targets: Sequence[str]) -> AppFacts:
    """Add up what the replicas have counted.

    Raises:
        StackError: one does not answer.
    """
    total = AppFacts()
    for target in targets:
        with Replica(target) as replica:
            total += replica.counts()
    return total


class Replica:
    """A connection to one replica: what it asks is answered by this very process, whoever shares its port."""

    def __init__(self, url: str, app: App = OUR_APP) -> None:
        self._url = url
        self._metrics = app.contract.metrics or "/"  # one without is not asked
        self._counters = app.counters
        self._connection = _connection(url)

    def __enter__(self) -> Replica:
        with contextlib.suppress(OSError):  # who is not there is missed when it is asked
            self._connection.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def counts(self) -> AppFacts:
        """Read what it has counted.

        Raises:
            StackError: it does not answer, or not with the app's metrics.
        """
        try:
            self._connection.request("GET", self._metrics)
            response = self._connection.getresponse()
            status, text = response.status, response.read().decode()
            families = list(text_string_to_metric_families(text)) if status == 200 else []
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise StackError(f"the replica at {self._url} does not return its metrics: {error}") from error
        names = self._counters
        # The format's own name of a counter has no suffix (OpenMetrics, section 5.1).
        if all(family.name != names.requests.removesuffix("_total") for family in families):
            raise StackError(
                f"the replica at {self._url} does not return its metrics: {self._metrics} (status {status}) "
                f"has no {names.requests}"
            )
        outcomes: Counter[str] = Counter()
        calls = errors = 0
        for family in families:
            for sample in family.samples:
                if sample.name == names.requests:
                    outcomes[sample.labels["outcome"]] += int(sample.value)
                elif sample.name == names.calls:
                    calls += int(sample.value)
                elif sample.name == names.redis_errors:
                    errors += int(sample.value)
        return AppFacts(
            outcomes={name: count for name, count in outcomes.items() if count},
            upstream_calls=calls,
            redis_errors=errors,
        )


def evicted_keys(**where: Any) -> int | None:
    """Ask a Redis how many keys it has evicted for want of memory; None where it does not tell.

    `where` are the arguments of the library's client.
    """
    try:
        with redis.Redis(socket_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0), **where) as asked:
            return int(asked.info("stats")["evicted_keys"])
    except redis.RedisError:
        return None


def set_upstream(url: str, settings: Mapping[str, object]) -> None:
    """Change how the stub upstream answers.

    Raises:
        StackError: it does not answer, or refuses.
    """
    try:
        status, said = get(url, "/_stub/settings", "PUT", json.dumps(settings).encode())
    except OSError as error:
        raise StackError(f"the upstream at {url} does not accept new settings: {error}") from error
    if status != 200:
        raise StackError(f"the upstream at {url} refuses the settings: {said.decode(errors='replace')}")


def upstream_counts(url: str) -> UpstreamFacts:
    """Ask the stub upstream for its counts.

    Raises:
        StackError: it does not answer.
    """
    try:
        _, text = get(url, "/_stub/counts")
    except OSError as error:
        raise StackError(f"the upstream at {url} does not return its counts: {error}") from error
    counts = json.loads(text)
    return UpstreamFacts(calls=counts["calls"], by_status=counts["by_status"])
