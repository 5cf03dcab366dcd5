"""Calls to the upstream API: one configured origin, and no way to leave it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from app.metrics import Metrics
from app.names import Resource, plain, target_of
from app.settings import Settings
from app.store.envelope import lines
from app.upstream.codings import ACCEPTED, CodingError, Decoding
from app.upstream.connections import Connector
from app.upstream.governor import Governor, whole_number

TIMEOUT_S: Final = 30.0
PATIENCE_S: Final = TIMEOUT_S  # for a call to be free
MOST_BYTES: Final = 16_000_000
# What bodies under way may take: as many calls as may be under way, this much each, and so many large ones.
SMALL_BYTES: Final = 1_000_000
LARGE_AT_ONCE: Final = 8
# Of a response's head. What GitHub sends, a long Content-Security-Policy among it, is 2 to 10 kB.
_MOST_FIELD_BYTES: Final = 65_536
_MOST_FIELDS: Final = 256
_STATUSES: Final = range(200, 600)  # others are no answer to what is asked here (RFC 9110, section 15)
_LATE: Final = 408  # what the upstream says of a connection that was idle, perhaps as the request came
# What a reader of the response needs, and what protects one. The rest stays behind: hop-by-hop headers,
# cookies, and what speaks of the upstream's own origin alone (Strict-Transport-Security, CORS, quotas).
_KEPT: Final = (
    "content-type", "content-language", "content-disposition", "etag", "last-modified", "link",
    "cache-control", "expires", "pragma", "retry-after", "x-content-type-options", "content-security-policy",
    "content-security-policy-report-only", "x-frame-options", "x-xss-protection", "x-download-options",
    "x-permitted-cross-domain-policies", "x-robots-tag", "referrer-policy", "permissions-policy",
    "cross-origin-opener-policy", "cross-origin-embedder-policy", "cross-origin-resource-policy",
    "origin-agent-cluster", "deprecation", "sunset",
)  # fmt: skip
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 3
_LOGGED: Final = 200  # characters of a path
_log = logging.getLogger(__name__)


class UpstreamError(Exception):
    """The upstream gave no usable answer; the message is one word for headers, `cause` says more for logs."""

    def __init__(self, word: str, cause: str = "") -> None:
        super().__init__(word)
        self.cause = cause


class DroppedError(UpstreamError):
    """A connection ended before an answer to what was sent began."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the upstream answered, `age_s` seconds old; `head` has the headers that are kept, as lines.

    `target` is what was asked for in the end, `leads_to` what it redirects to, if that may be asked for.
    """

    status: int
    head: bytes
    body: bytes
    age_s: int
    target: str
    leads_to: str | None = None


@dataclass(frozen=True, slots=True)
class Validator:
    """An ETag, and the target whose answer had it: of any other it says nothing."""

    etag: bytes
    target: str


class Upstream:
    """The API whose answers are cached."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._base = settings.upstream_url
        self._metrics = metrics
        self._governor = Governor(settings.upstream_concurrency, settings.upstream_reserve, PATIENCE_S)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        headers = {"User-Agent": "sidecar-bench-app", "Accept": "*/*", "Accept-Encoding": ACCEPTED}
        if settings.upstream_token:
            headers["Authorization"] = f"Bearer {settings.upstream_token}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            connector=Connector(limit=0, keepalive_timeout=75),
            cookie_jar=aiohttp.DummyCookieJar(),  # no caller's answers bring anything to another's
            middlewares=(_once,),
            auto_decompress=False,
            max_field_size=_MOST_FIELD_BYTES,
            max_headers=_MOST_FIELDS,
        )

    async def get(
        self, resource: Resource, validator: Validator | None = None, *, spare: bool = False
    ) -> Fetched:
        """Fetch a resource, if it no longer is what the validator stands for.

        Redirects that stay below the upstream's URL are followed, up to three. `spare`: the caller could do
        without.

        Raises:
            QuotaError: the upstream is not to be called now.
            UpstreamError: no answer came in time, it is none, or its body is too large or not whole.
        """
        target, redirects = resource.target, 0
        while True:
            headers = dict(resource.selecting)
            if validator is not None and validator.target == target:
                # Headers are sent as UTF-8: an ETag that is none would not be sent as it came.
                with contextlib.suppress(UnicodeDecodeError):
                    headers["If-None-Match"] = validator.etag.decode()
            fetched = await self._call(target, headers, spare)
            if fetched.leads_to is None or redirects == _MOST_REDIRECTS:
                return fetched
            target, redirects = fetched.leads_to, redirects + 1

    async def _call(self, name: str, headers: dict[str, str], spare: bool) -> Fetched:
        # Upstreams end connections that were idle, at times just as the next request comes. Then that is sent
        # again, once.
        try:
            fetched = await self._called(name, headers, spare)
        except DroppedError:
            return await self._called(name, headers, spare)
        return await self._called(name, headers, spare) if fetched.status == _LATE else fetched

    async def _called(self, name: str, headers: dict[str, str], spare: bool) -> Fetched:
        """Send one request, and count it, whatever becomes of it."""
        async with self._governor.call(name, spare=spare):
            began, status = time.perf_counter(), "error"
            try:
                fetched = await self._answer(name, headers)
                status = str(fetched.status)
                if fetched.status >= 500:
                    _warn(name, status)
            except UpstreamError as error:
                _warn(name, str(error), error.cause)
                raise
            except CodingError as error:
                _warn(name, error.reason, str(error))
                raise UpstreamError(error.reason) from error
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                word = "upstream-timeout" if isinstance(error, TimeoutError) else "upstream-down"
                _warn(name, type(error).__name__, _cause_of(error))
                raise UpstreamError(word) from error
            finally:
                self._metrics.upstream[status] += 1
                self._metrics.upstream_seconds.observe(time.perf_counter() - began)
        return fetched

    async def _answer(self, name: str, headers: dict[str, str]) -> Fetched:
        url = URL(f"{self._base}/{name}", encoded=True)
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            found = response.headers
            if response.status not in _STATUSES:
                raise UpstreamError("upstream-status", f"status {response.status}")
            body = await self._body(response)
            self._governor.learn(response.status, found, name, body)
            # Several lines of one header are one list (RFC 9110, section 5.3).
            head = [
                (kept.encode(), ", ".join(found.getall(kept)).encode("utf-8", "surrogateescape"))
                for kept in _KEPT
                if kept in found
            ]
            leads_to = self._leads_to(url, found["location"]) if _redirects(response) else None
            age_s = whole_number(found.get("age", "")) or 0
            return Fetched(response.status, lines(head), body, age_s, name, leads_to)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """Read a body, decoded and whole. Only so many may be large at once; others wait for their turn."""
        decoding = Decoding(", ".join(response.headers.getall("content-encoding", ())))
        body, encoded, large = bytearray(), 0, False
        try:
            async for chunk in response.content.iter_any():
                encoded += len(chunk)
                for piece in decoding.feed(chunk):
                    body += piece
                    if max(len(body), encoded) > MOST_BYTES:
                        raise UpstreamError("body-too-large", f"more than {MOST_BYTES} bytes")
                    if not large and len(body) > SMALL_BYTES:
                        async with asyncio.timeout(TIMEOUT_S):
                            large = await self._large.acquire()
            decoding.end()
            return bytes(body)
        finally:
            if large:
                self._large.release()

    def _leads_to(self, asked: URL, location: str) -> str | None:
        """Return the target that a redirect leads to; None if it leaves the upstream's URL, or is none."""
        base = URL(self._base)
        try:
            to = asked.join(URL(location, encoded=True))
            same = (to.scheme, to.host, to.port) == (base.scheme, base.host, base.port) and to.user is None
            below = base.raw_path.rstrip("/") + "/"
            if not (same and to.raw_path.startswith(below)):
                return None
            return target_of(plain(to.raw_path[len(below) :]).encode(), to.raw_query_string.encode())
        except ValueError:
            return None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _redirects(response: aiohttp.ClientResponse) -> bool:
    return response.status in _REDIRECTS and "location" in response.headers


def _cause_of(error: Exception) -> str:
    """Say why a call failed, without what the upstream sent: that is nobody's business."""
    # What cannot be read as HTTP: aiohttp says so as if the upstream had answered 400.
    said = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return said.strip().partition("\n")[0].partition(" b'")[0].rstrip(": ")


def _warn(name: str, why: str, cause: str = "") -> None:
    """Log a call that failed: without its query, which may hold what is nobody's business."""
    path = name.partition("?")[0][:_LOGGED]
    extra = {"path": path, "reason": why} | ({"cause": cause[:_LOGGED]} if cause else {})
    _log.warning("the upstream failed", extra=extra)


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once: aiohttp would send it again unseen, and every call is to be counted."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise DroppedError("upstream-down", type(error).__name__) from error
