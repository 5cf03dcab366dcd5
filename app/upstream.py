"""Calls to the upstream API: one configured origin, and no way to leave it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import aiohttp
from yarl import URL

from app.envelope import lines
from app.governor import Governor, whole_number
from app.metrics import Metrics
from app.names import PREFIX, name_of
from app.settings import Settings

TIMEOUT_S: Final = 30.0
PATIENCE_S: Final = TIMEOUT_S  # for a call to be free
MOST_BYTES: Final = 16_000_000
# What a reader of the response needs; hop-by-hop headers and cookies stay behind.
_KEPT: Final = ("content-type", "etag", "last-modified", "link")
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 3
_LOGGED: Final = 200  # characters of a path
_log = logging.getLogger(__name__)


class UpstreamError(Exception):
    """The upstream gave no usable answer; the message is one word for headers."""


class DroppedError(UpstreamError):
    """A connection ended before an answer to what was sent began."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the upstream answered, `age_s` seconds old; `head` has the headers that are kept, as lines.

    `leads_to`: the name that it redirects to, if that may be asked for.
    """

    status: int
    head: bytes
    body: bytes
    age_s: int
    leads_to: str | None = None


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
            cookie_jar=aiohttp.DummyCookieJar(),  # no caller's answers bring anything to another's
            middlewares=(_once,),
            auto_decompress=True,
        )

    async def get(self, name: str, etag: bytes | None = None, *, spare: bool = False) -> Fetched:
        """Fetch a path with its query, if it no longer is what `etag` stands for.

        Redirects that stay below the upstream's URL are followed, up to three. `spare`: the caller could do
        without.

        Raises:
            QuotaError: the upstream is not to be called now.
            UpstreamError: no answer came in time, or its body is too large.
        """
        conditions = {"If-None-Match": etag.decode("latin-1")} if etag else {}
        fetched = await self._call(name, conditions, spare)
        for _ in range(_MOST_REDIRECTS):
            if fetched.leads_to is None:
                break
            fetched = await self._call(fetched.leads_to, conditions, spare)
        return fetched

    async def _call(self, name: str, conditions: dict[str, str], spare: bool) -> Fetched:
        try:
            return await self._called(name, conditions, spare)
        except DroppedError:
            # Upstreams end connections that were idle, at times just as the next request comes.
            return await self._called(name, conditions, spare)

    async def _called(self, name: str, conditions: dict[str, str], spare: bool) -> Fetched:
        """Send one request, and count it, whatever becomes of it."""
        async with self._governor.call(spare=spare):
            began, status = time.perf_counter(), "error"
            try:
                fetched = await self._answer(name, conditions)
                status = str(fetched.status)
                if fetched.status >= 500:
                    _warn(name, status)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                _warn(name, type(error).__name__)
                word = "upstream-timeout" if isinstance(error, TimeoutError) else "upstream-down"
                raise UpstreamError(word) from error
            except UpstreamError as error:
                _warn(name, str(error))
                raise
            finally:
                self._metrics.upstream[status] += 1
                self._metrics.upstream_seconds.observe(time.perf_counter() - began)
        return fetched

    async def _answer(self, name: str, conditions: dict[str, str]) -> Fetched:
        url = URL(f"{self._base}/{name}", encoded=True)
        async with self._session.get(url, headers=conditions, allow_redirects=False) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise UpstreamError("body-too-large")
            found = response.headers
            self._governor.learn(response.status, found)
            # Several lines of one header are one list (RFC 9110, section 5.3).
            kept = [
                (name.encode(), ", ".join(found.getall(name)).encode("utf-8", "surrogateescape"))
                for name in _KEPT
                if name in found
            ]
            kept.append((b"content-length", b"%d" % len(body)))
            leads_to = self._leads_to(url, found["location"]) if _redirects(response) else None
            age_s = whole_number(found.get("age", "")) or 0
            return Fetched(response.status, lines(kept), bytes(body), age_s, leads_to)

    def _leads_to(self, asked: URL, location: str) -> str | None:
        """Return the name of what a redirect leads to; None if it leaves the upstream's URL, or is none."""
        base = URL(self._base)
        try:
            to = asked.join(URL(location, encoded=True))
            same = (to.scheme, to.host, to.port) == (base.scheme, base.host, base.port) and to.user is None
            below = base.raw_path.rstrip("/") + "/"
            if not (same and to.raw_path.startswith(below)):
                return None
            path, query = unquote(to.raw_path[len(below) :]), to.raw_query_string
            return name_of(PREFIX + path, query.encode()).decode()
        except ValueError:
            return None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _redirects(response: aiohttp.ClientResponse) -> bool:
    return response.status in _REDIRECTS and "location" in response.headers


def _warn(name: str, why: str) -> None:
    """Log a call that failed: without its query, which may hold what is nobody's business."""
    path = name.partition("?")[0][:_LOGGED]
    _log.warning("the upstream failed", extra={"path": path, "reason": why})


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once: aiohttp would send it again unseen, and every call is to be counted."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise DroppedError("upstream-down") from error
