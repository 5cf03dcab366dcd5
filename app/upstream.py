"""Calls to the upstream API: one configured origin, and no way to leave it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from app.settings import Settings

TIMEOUT_S: Final = 30.0
MOST_BYTES: Final = 16_000_000
# What a reader of the response needs; hop-by-hop headers and cookies stay behind.
_KEPT: Final = ("content-type", "etag", "last-modified", "age", "link")
_SAFE: Final = "!$&'()*+,;=:@-._~/"


class PathError(ValueError):
    """A path that would leave the upstream, or is none."""


class UpstreamError(Exception):
    """The upstream gave no usable answer."""


def confined(path: str) -> str:
    """Return a decoded path, spelled so that it stays below the upstream's URL.

    Raises:
        PathError: it has `.` or `..` segments, a backslash, or control characters.
    """
    if any(segment in (".", "..") for segment in path.split("/")):
        raise PathError("a path has no . or .. segments")
    if any(character == "\\" or ord(character) < 0x20 or ord(character) == 0x7F for character in path):
        raise PathError("a path has no backslash and no control characters")
    # Quoting encodes every % anew: what was encoded twice reaches the upstream encoded twice.
    return quote(path, safe=_SAFE)


class Upstream:
    """The API whose answers are cached."""

    def __init__(self, settings: Settings) -> None:
        self._base = settings.upstream_url
        headers = {"User-Agent": "sidecar-bench-app", "Accept": "*/*"}
        if settings.upstream_token:
            headers["Authorization"] = f"Bearer {settings.upstream_token}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=75),
            auto_decompress=True,
        )

    async def get(self, path: str, query: str) -> tuple[int, dict[str, str], bytes]:
        """Fetch a path and return status, headers worth keeping, and body. Redirects are not followed.

        Raises:
            UpstreamError: no answer came in time, or its body is too large.
        """
        url = URL(f"{self._base}/{path}" + (f"?{query}" if query else ""), encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise UpstreamError("the body is too large")
                headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
                return response.status, headers, bytes(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamError(type(error).__name__) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
