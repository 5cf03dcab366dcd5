"""Calls to the upstream API: one configured origin, and no way to leave it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from app.envelope import lines
from app.governor import Governor, whole_number
from app.metrics import Metrics
from app.settings import Settings

TIMEOUT_S: Final = 30.0
PATIENCE_S: Final = TIMEOUT_S  # for a call to be free
MOST_BYTES: Final = 16_000_000
# What a reader of the response needs; hop-by-hop headers and cookies stay behind.
_KEPT: Final = ("content-type", "etag", "last-modified", "link")


class UpstreamError(Exception):
    """The upstream gave no usable answer."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the upstream answered, `age_s` seconds old; `head` has the headers that are kept, as lines."""

    status: int
    head: bytes
    body: bytes
    age_s: int


class Upstream:
    """The API whose answers are cached."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._base = settings.upstream_url
        self._metrics = metrics
        self._governor = Governor(settings.upstream_concurrency, settings.upstream_reserve, PATIENCE_S)
        headers = {"User-Agent": "sidecar-bench-app", "Accept": "*/*"}
        if settings.upstream_token:
            headers["Authorization"] = f"Bearer {settings.upstream_token}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=75),
            auto_decompress=True,
        )

    async def get(self, name: str, etag: bytes | None = None, *, spare: bool = False) -> Fetched:
        """Fetch a path with its query, if it no longer is what `etag` stands for. Redirects are not followed.

        `spare`: the caller could do without.

        Raises:
            QuotaError: the upstream is not to be called now.
            UpstreamError: no answer came in time, or its body is too large.
        """
        async with self._governor.call(spare=spare):
            began = time.perf_counter()
            try:
                fetched = await self._get(name, {"If-None-Match": etag.decode("latin-1")} if etag else {})
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self._metrics.upstream["error"] += 1
                raise UpstreamError(type(error).__name__) from error
            except BaseException:
                self._metrics.upstream["error"] += 1  # it was called, whatever became of it
                raise
        self._metrics.upstream[str(fetched.status)] += 1
        self._metrics.upstream_seconds.observe(time.perf_counter() - began)
        return fetched

    async def _get(self, name: str, conditions: dict[str, str]) -> Fetched:
        url = URL(f"{self._base}/{name}", encoded=True)
        async with self._session.get(url, headers=conditions, allow_redirects=False) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise UpstreamError("the body is too large")
            found = response.headers
            self._governor.learn(response.status, found)
            kept = [
                (name.encode(), found[name].encode("utf-8", "surrogateescape"))
                for name in _KEPT
                if name in found
            ]
            kept.append((b"content-length", b"%d" % len(body)))
            return Fetched(response.status, lines(kept), bytes(body), whole_number(found.get("age", "")) or 0)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
