"""A stub of GitHub's contents API: deterministic bodies, latency, a rate limit, and an exact count of calls.

Configured by UPSTREAM_… variables, changed at run time by `PUT /_stub/settings`; `GET /_stub/counts` is the
truth about upstream calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from loadtests.access_log import read_log
from scenarios.model import Strict

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
LARGEST: Final = 1_048_576
_TEXT: Final = bytes(range(32, 127)) * (LARGEST // 95 + 1)
_WINDOW_S: Final = 3600


class StubSettings(Strict):
    """How the stub answers. Times in ms, sizes in bytes."""

    seed: int = 1
    latency_ms: float = Field(20.0, ge=0)
    latency_spread: float = Field(0.0, ge=0)
    body: int = Field(4096, ge=1)
    body_spread: float = Field(1.0, ge=0)
    error_ratio: float = Field(0.0, ge=0, le=1)
    rate_limit: int | None = None
    stalled: bool = False
    log: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> StubSettings:
        """Read UPSTREAM_SEED, UPSTREAM_LATENCY_MS and so on; empty ones do not count."""
        named = {name: environment.get(f"UPSTREAM_{name.upper()}", "") for name in cls.model_fields}
        return cls.model_validate({name: text for name, text in named.items() if text})


class Stub:
    """The ASGI application."""

    def __init__(self, settings: StubSettings) -> None:
        self._by_status: Counter[int] = Counter()
        self._window = (time.monotonic(), 0)
        self._going = asyncio.Event()
        self._sizes: dict[str, int] = {}
        self._use(settings)

    def _use(self, settings: StubSettings) -> None:
        self._settings = settings
        self._random = random.Random(f"{settings.seed}/stub")
        if settings.log is not None:
            self._sizes = {
                request.path: request.size for request in read_log(settings.log).requests if request.size
            }
        if settings.stalled:
            self._going.clear()
        else:
            self._going.set()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["path"].startswith("/_stub/"):
            await self._control(scope, receive, send)
        else:
            await self._answer(scope, send)

    async def _control(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        what = (scope["method"], scope["path"].removeprefix("/_stub/"))
        if what == ("PUT", "settings"):
            changed = json.loads(await _body(receive))
            self._use(StubSettings.model_validate(self._settings.model_dump() | changed))
        elif what == ("DELETE", "counts"):
            self._by_status.clear()
        counts = {
            "calls": self._by_status.total(),
            "by_status": {str(s): n for s, n in self._by_status.items()},
        }
        await _respond(send, 200, {}, json.dumps(counts).encode())

    async def _answer(self, scope: dict[str, Any], send: Send) -> None:
        settings = self._settings
        await self._delay(settings)
        status, headers = self._allowance(settings)
        body = b""
        if status == 200 and settings.error_ratio and self._random.random() < settings.error_ratio:
            status = 502
        if status == 200:
            raw = scope["raw_path"].decode("latin-1").lstrip("/")
            query = scope["query_string"].decode("latin-1")
            path = f"{raw}?{query}" if query else raw
            tag, body = self._content(path, settings)
            headers["etag"] = tag
            headers["content-type"] = "text/plain; charset=utf-8"
            if tag.encode() in dict(scope["headers"]).get(b"if-none-match", b""):
                status, body = 304, b""
        self._by_status[status] += 1
        await _respond(send, status, headers, body)

    async def _delay(self, settings: StubSettings) -> None:
        latency_ms = settings.latency_ms
        if settings.latency_spread:
            latency_ms = self._random.lognormvariate(math.log(latency_ms), settings.latency_spread)
        if latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        await self._going.wait()

    def _allowance(self, settings: StubSettings) -> tuple[int, dict[str, str]]:
        """Return the status and headers of GitHub's primary rate limit."""
        if settings.rate_limit is None:
            return 200, {}
        began, used = self._window
        now = time.monotonic()
        if now - began >= _WINDOW_S:
            began, used = now, 0
        status = 200 if used < settings.rate_limit else 403
        used = min(used + 1, settings.rate_limit)
        self._window = (began, used)
        left_s = max(int(began + _WINDOW_S - now), 1)
        headers = {
            "x-ratelimit-limit": str(settings.rate_limit),
            "x-ratelimit-remaining": str(settings.rate_limit - used),
            "x-ratelimit-used": str(used),
            "x-ratelimit-reset": str(int(time.time()) + left_s),
            "x-ratelimit-resource": "core",
        }
        if status == 403:
            headers["retry-after"] = str(left_s)
        return status, headers

    def _content(self, path: str, settings: StubSettings) -> tuple[str, bytes]:
        digest = hashlib.blake2b(f"{settings.seed}/{path}".encode(), digest_size=16).digest()
        size = self._sizes.get(path)
        if size is None:
            normal = random.Random(digest).gauss(0, 1)
            size = round(settings.body * math.exp(settings.body_spread * normal))
        size = min(max(size, 1), LARGEST)
        start = digest[0] % 95
        return f'"{digest.hex()}"', _TEXT[start : start + size]


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _body(receive: Receive) -> bytes:
    data = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        data += part
        if not message.get("more_body"):
            return data


async def _respond(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    if status != 304:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def __getattr__(name: str) -> Stub:
    # uvicorn asks for `loadtests.upstream:app`; importing this module for its parts configures nothing.
    if name == "app":
        return Stub(StubSettings.from_environment())
    raise AttributeError(name)
