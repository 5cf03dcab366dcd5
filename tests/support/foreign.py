"""A small service that is not ours: a mirror that says `X-Cache: ONLINE_HIT`, and nothing of Cache-Status.

`python foreign.py PORT` serves it from a process of its own, configured by variables.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvicorn

# A run looks whether a service is there before it begins, and again before its trial.
_PROBES = 2
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Mirror:
    """Answers /github/… from its own memory for `ttl_s`, else after `fetch_s`.

    `token`: what callers have to be authorized with; `tells`: whether it says which answers were hits.
    Requests with `X-Fail: 503` get that status, but for the first ones.
    """

    def __init__(
        self,
        *,
        ttl_s: float = 60.0,
        fetch_s: float = 0.02,
        token: str = "",
        tells: bool = True,
        calls_a_miss: int = 1,
    ) -> None:
        self.hits = self.calls = self.failed = 0
        self.asked: list[str] = []
        self._ttl_s, self._fetch_s, self._token, self._tells = ttl_s, fetch_s, token, tells
        self._calls_a_miss = calls_a_miss
        self._until: dict[str, float] = {}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")
        path = scope["raw_path"].decode()
        authorization = dict(scope["headers"]).get(b"authorization", b"").decode()
        if status := int(dict(scope["headers"]).get(b"x-fail", b"0")):
            self.failed += 1
            await _respond(send, status if self.failed > _PROBES else 200, [], b"")
        elif path == "/stats":
            stats = json.dumps({"upstream": [{"calls": self.calls}]}).encode()
            await _respond(send, 200, [], stats)
        elif not path.startswith("/github/"):
            await _respond(send, 404, [], b"")
        elif self._token and authorization != f"Bearer {self._token}":
            await _respond(send, 401, [(b"www-authenticate", b"Bearer")], b"")
        else:
            await self._mirror(path, send)

    async def _mirror(self, path: str, send: Send) -> None:
        self.asked.append(path)
        word = b"ONLINE_HIT"
        if self._until.get(path, 0.0) < time.monotonic():
            self.calls += self._calls_a_miss
            word = b"ONLINE_MISS"
            await asyncio.sleep(self._fetch_s)
            self._until[path] = time.monotonic() + self._ttl_s
        else:
            self.hits += 1
        await _respond(send, 200, [(b"x-cache", word)] if self._tells else [], b"{}" * 200)


async def _respond(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    mirror = Mirror(
        token=os.environ.get("MIRROR_TOKEN", ""), tells=os.environ.get("MIRROR_TELLS", "1") == "1"
    )
    uvicorn.run(mirror, port=int(sys.argv[1]), lifespan="off", log_level="warning", access_log=False)
