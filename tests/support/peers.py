"""One service in several ways: `GET /content/a` answers with a JSON body of 2 KiB from Redis.

Each is served as `peers:create`, with PEER naming which and REDIS_PORT its Redis. All send what they store as
it is, so that what is compared is the way from Redis to the socket.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import hiredis
from fastapi import FastAPI, Response

PORT = int(os.environ.get("REDIS_PORT", "6379"))
URL = f"redis://127.0.0.1:{PORT}"
BODY = b'{"content": "' + b"x" * (2048 - 15) + b'"}'


class Pipelined(asyncio.Protocol):
    """The least that asks Redis: GETs written as they come, answers handed out in order."""

    def __init__(self) -> None:
        self.reader, self.waiting = hiredis.Reader(), deque[asyncio.Future[Any]]()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (answer := self.reader.gets()) is not False:
            self.waiting.popleft().set_result(answer)

    def get(self, key: bytes) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        self.transport.write(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key))
        return future


class Raw:
    """The ceiling: ASGI and hiredis, and nothing else; no counters, no age, no status of the cache."""

    connection: Pipelined | None = None
    more: tuple[tuple[bytes, bytes], ...] = ()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if self.connection is None:
            loop = asyncio.get_running_loop()
            _, self.connection = await loop.create_connection(Pipelined, "127.0.0.1", PORT)
        body = await self.connection.get(b"raw:" + scope["path"][9:].encode())
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *self.more]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class RawWithHeaders(Raw):
    """The ceiling with three headers more, always the same: what the server asks for those of this app."""

    more = (
        (b"etag", b'"%s"' % (b"0" * 32)),
        (b"age", b"0"),
        (b"cache-status", b"redis; hit; ttl=600"),
    )


async def lifespan(receive: Any, send: Any) -> None:
    for said in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{said}.complete"})


def fastapi_cache2() -> FastAPI:
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.redis import RedisBackend
    from fastapi_cache.coder import Coder
    from fastapi_cache.decorator import cache
    from redis.asyncio import Redis

    class Bytes(Coder):
        @classmethod
        def encode(cls, value: Any) -> bytes:
            return bytes(value.body)

        @classmethod
        def decode(cls, value: bytes) -> Any:
            return Response(value, media_type="application/json")

    @asynccontextmanager
    async def started(_: FastAPI) -> AsyncIterator[None]:
        FastAPICache.init(RedisBackend(Redis.from_url(URL)), prefix="peer")
        yield

    app = FastAPI(lifespan=started)

    @app.get("/content/{path:path}")
    @cache(expire=600, coder=Bytes)
    async def content(path: str) -> Response:
        return Response(BODY, media_type="application/json")

    return app


def cashews() -> FastAPI:
    from cashews import Cache

    cache = Cache()
    cache.setup(URL, client_side=False)
    app = FastAPI()

    @cache(ttl="10m", key="peer:{path}")
    async def fetch(path: str) -> bytes:
        return BODY

    @app.get("/content/{path:path}")
    async def content(path: str) -> Response:
        return Response(await fetch(path), media_type="application/json")

    return app


def aiocache() -> FastAPI:
    import aiocache
    from aiocache.serializers import NullSerializer

    cache = aiocache.RedisCache(endpoint="127.0.0.1", port=PORT, serializer=NullSerializer(encoding=None))
    app = FastAPI()

    @app.get("/content/{path:path}")
    async def content(path: str) -> Response:
        body = await cache.get(f"peer:{path}")
        if body is None:
            body = BODY
            await cache.set(f"peer:{path}", body, ttl=600)
        return Response(body, media_type="application/json")

    return app


def redis_py() -> FastAPI:
    from redis.asyncio import Redis

    redis = Redis.from_url(URL)
    app = FastAPI()

    @app.get("/content/{path:path}")
    async def content(path: str) -> Response:
        body = await redis.get(f"peer:{path}")
        if body is None:
            body = BODY
            await redis.set(f"peer:{path}", body, ex=600)
        return Response(body, media_type="application/json")

    return app


def redis_py_sync() -> FastAPI:
    from redis import Redis

    redis = Redis.from_url(URL)
    app = FastAPI()

    @app.get("/content/{path:path}")
    def content(path: str) -> Response:
        body = redis.get(f"peer:{path}")
        if body is None:
            body = BODY
            redis.set(f"peer:{path}", body, ex=600)
        return Response(body, media_type="application/json")

    return app


def ours() -> Any:
    from app.main import create_app

    return create_app()


class Passing:
    """The least that a middleware can be: it looks at each request, and passes it on."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seen = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.seen += 1
        await self.app(scope, receive, send)


def ours_wrapped() -> Any:
    return Passing(ours())


def ours_with_middleware() -> Any:
    app = ours()
    app.add_middleware(Passing)
    return app


PEERS: dict[str, Callable[[], Any]] = {
    "ceiling: raw ASGI + hiredis": Raw,
    "the ceiling with this app's headers": RawWithHeaders,
    "this app": ours,
    "this app, wrapped": ours_wrapped,
    "this app, with middleware": ours_with_middleware,
    "this app, --http app.hits:Hits": ours,
    "fastapi-cache2": fastapi_cache2,
    "cashews": cashews,
    "aiocache": aiocache,
    "redis-py": redis_py,
    "redis-py, def endpoint": redis_py_sync,
}


# Who brings a protocol of its own to uvicorn; the others are served with uvicorn's.
HTTP = {"this app, --http app.hits:Hits": "app.hits:Hits"}


def create() -> Any:
    """Return the application that PEER names."""
    return PEERS[os.environ["PEER"]]()
