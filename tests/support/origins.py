"""An upstream for tests of the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Origin:
    """An upstream whose answers a test decides. It revalidates by ETag, and notes what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"first"
        self.takes_s = 0.0
        self.breaks = False  # closes the connection in mid-answer
        self.asked: list[dict[bytes, bytes]] = []
        self.paths: list[str] = []

    async def __call__(self, scope: dict[str, Any], _: Any, send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            return
        asked = dict(scope["headers"])
        self.asked.append(asked)
        path, query = scope["raw_path"].decode(), scope["query_string"].decode()
        self.paths.append(f"{path}?{query}" if query else path)
        await asyncio.sleep(self.takes_s)
        etag = b'"%b"' % self.body
        unchanged = self.status == 200 and asked.get(b"if-none-match") == etag
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        start = {"status": 304 if unchanged else self.status, "headers": [*headers, (b"etag", etag)]}
        await send({"type": "http.response.start", **start})
        if self.breaks:
            await send({"type": "http.response.body", "body": b"a beginning", "more_body": True})
            return
        await send({"type": "http.response.body", "body": b"" if unchanged else self.body})
