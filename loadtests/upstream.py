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
from typing import Any, Final, Literal

from pydantic import Field

from scenarios.strict import Strict
from traffic.answer_table import AnswerTable, Told

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
LARGEST: Final = 1_048_576
_TEXT: Final = bytes(range(32, 127)) * (LARGEST // 95 + 2)  # a body begins at any of 95 places
_NOT_FOUND: Final = b'{"message": "Not Found"}'
_JSON: Final = {"content-type": "application/json"}
_WINDOW_S: Final = 3600


class StubSettings(Strict):
    """How the stub answers. Times in ms, sizes in bytes."""

    seed: int = 1
    latency_ms: float = Field(20.0, ge=0)
    latency_spread: float = Field(0.0, ge=0)
    body: int = Field(4096, ge=1)
    body_spread: float = Field(1.0, ge=0)
    error_ratio: float = Field(0.0, ge=0, le=1)
    missing_ratio: float = Field(0.0, ge=0, le=1)
    rate_limit: int | None = Field(None, ge=0)
    rate_limit_status: Literal[403, 429] = 403
    stalled: bool = False
    filling: bool = Field(
        False,
        description="Caches are being filled: answer at once, without errors, and count nothing.",
    )
    log: Path | None = Field(None, description="A table of answers (traffic.answer_table).")
    log_from_s: float = Field(0.0, ge=0, description="Where in the log the trial begins.")
    log_speedup: float | None = Field(
        None,
        gt=0,
        description="How much faster than its own times the log is replayed; None: not at its times.",
    )
    log_origin_s: float | None = Field(
        None,
        description="When the trial's schedule begins, by this machine's monotonic clock; None: not yet.",
    )

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
        self._log = AnswerTable(settings.log) if settings.log else None
        self._use(settings)

    def _use(self, settings: StubSettings) -> None:
        self._random = random.Random(f"{settings.seed}/stub")
        self._settings = settings
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
            try:
                changed = json.loads(await _body(receive))
                self._use(StubSettings.model_validate(self._settings.model_dump() | changed))
            except (ValueError, TypeError) as error:
                await _respond(send, 400, {}, str(error).encode())
                return
        elif what == ("DELETE", "counts"):
            self._by_status.clear()
        counts = {
            "calls": self._by_status.total(),
            "by_status": {str(s): n for s, n in self._by_status.items()},
        }
        await _respond(send, 200, {}, json.dumps(counts).encode())

    async def _answer(self, scope: dict[str, Any], send: Send) -> None:
        settings = self._settings
        if settings.filling:
            await _respond(send, *self._resource(scope, settings))
            return
        await self._delay(settings)
        status, headers, body = self._outcome(scope, settings)
        self._by_status[status] += 1
        await _respond(send, status, headers, body)

    def _outcome(self, scope: dict[str, Any], settings: StubSettings) -> tuple[int, dict[str, str], bytes]:
        if self._left(settings) == 0:
            return settings.rate_limit_status, self._limit_headers(settings, refused=True), b""
        if settings.error_ratio and self._random.random() < settings.error_ratio:
            self._use_one()
            return 502, self._limit_headers(settings), b""
        status, headers, body = self._resource(scope, settings)
        # GitHub does not count 304 answers to callers that say who they are.
        if status != 304 or b"authorization" not in dict(scope["headers"]):
            self._use_one()
        return status, headers | self._limit_headers(settings), body

    def _resource(self, scope: dict[str, Any], settings: StubSettings) -> tuple[int, dict[str, str], bytes]:
        """Return what a path stands for, whatever the upstream's state."""
        raw = scope["raw_path"].decode("latin-1").removeprefix("/")
        query = scope["query_string"].decode("latin-1")
        path = f"{raw}?{query}" if query else raw
        if is_missing(path, settings.seed, settings.missing_ratio):
            return 404, _JSON, _NOT_FOUND
        told = self._told(path)
        if told is not None and told.status != 200:
            return told.status, _JSON, _NOT_FOUND if told.status == 404 else b'{"message": "as logged"}'
        tag, body = self._content(told.size if told else None, _digest(path, settings.seed), settings)
        status = 200
        if tag.encode() in dict(scope["headers"]).get(b"if-none-match", b""):
            status, body = 304, b""
        return status, {"etag": tag, "content-type": "text/plain; charset=utf-8"}, body

    def _told(self, path: str) -> Told | None:
        """Return what the log says of a path now."""
        if self._log is None:
            return None
        settings, at_us = self._settings, None
        if settings.log_speedup is not None:
            passed_s = 0.0 if settings.log_origin_s is None else time.monotonic() - settings.log_origin_s
            at_us = round((settings.log_from_s + passed_s * settings.log_speedup) * 1e6)
        return self._log.look_up(f"/{path}".encode("latin-1"), at_us)

    async def _delay(self, settings: StubSettings) -> None:
        latency_ms = settings.latency_ms
        if settings.latency_spread and latency_ms:
            latency_ms = self._random.lognormvariate(math.log(latency_ms), settings.latency_spread)
        if latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        await self._going.wait()

    def _left(self, settings: StubSettings) -> int:
        """Return how many calls the hour still allows."""
        if settings.rate_limit is None:
            return 1
        if time.monotonic() - self._window[0] >= _WINDOW_S:
            self._window = (time.monotonic(), 0)
        return max(settings.rate_limit - self._window[1], 0)

    def _use_one(self) -> None:
        began, used = self._window
        self._window = (began, used + 1)

    def _limit_headers(self, settings: StubSettings, *, refused: bool = False) -> dict[str, str]:
        """Return the headers of GitHub's primary rate limit."""
        if settings.rate_limit is None:
            return {}
        left_s = max(math.ceil(self._window[0] + _WINDOW_S - time.monotonic()), 1)
        headers = {
            "x-ratelimit-limit": str(settings.rate_limit),
            "x-ratelimit-remaining": str(self._left(settings)),
            "x-ratelimit-used": str(min(self._window[1], settings.rate_limit)),
            "x-ratelimit-reset": str(int(time.time()) + left_s),
            "x-ratelimit-resource": "core",
        }
        return headers | {"retry-after": str(left_s)} if refused else headers

    def _content(self, size: int | None, digest: bytes, settings: StubSettings) -> tuple[str, bytes]:
        """Return ETag and body: of the log's size, where it has one."""
        if size is None:
            normal = random.Random(digest).gauss(0, 1)
            size = max(round(settings.body * math.exp(settings.body_spread * normal)), 1)
        size = min(size, LARGEST)
        start = digest[0] % 95
        return f'"{digest.hex()}"', _TEXT[start : start + size]


def is_missing(path: str, seed: int, missing_ratio: float) -> bool:
    """Tell whether the stub answers a path (with its query, without a slash in front) with 404."""
    return int.from_bytes(_digest(path, seed)[8:]) < missing_ratio * 2**64


def _digest(path: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{path}".encode(), digest_size=16).digest()


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
    if status in (204, 304):
        body = b""
    else:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def __getattr__(name: str) -> Stub:
    # uvicorn asks for `loadtests.upstream:app`; importing this module for its parts configures nothing.
    if name == "app":
        return Stub(StubSettings.from_environment())
    raise AttributeError(name)
