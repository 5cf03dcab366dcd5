"""What stands around the app sees every request, hits too: in each way and on each server."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, HTTPException, Request
from fastapi.dependencies.utils import get_parameterless_sub_dependant
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.routing import APIRoute
from origins import Origin
from servers import RedisServer, free_port, get, serving
from starlette.applications import Starlette
from starlette.routing import Mount
from ways import WAYS, served

from app.main import create_app
from app.service import CachingService
from app.settings import Settings

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("patient")]


@pytest.fixture(scope="module")
def origin() -> Origin:
    origin = Origin()
    origin.body = b"a body that is long enough to be worth its compression: " + b"a" * 1000
    return origin


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Settings]:
    redis = RedisServer(tmp_path_factory.mktemp("redis"), free_port())
    redis.start()
    with serving(origin) as upstream:
        yield Settings(upstream, redis_host="127.0.0.1", redis_port=redis.port, redis_password=redis.password)
    redis.stop()


@pytest.fixture
def app(settings: Settings) -> CachingService:
    return create_app(settings)


def said(url: str, path: str = "/content/a", **headers: str) -> str:
    return get(url, path, **headers).headers["cache-status"]


class Seen:
    """A wrapper that notes what it sees, and answers 401 to whoever has no token."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.answered: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)  # it looks like what it wraps

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.answered.append((scope["path"], message["status"]))
            await send(message)

        if (b"authorization", b"Bearer t0ken") in scope["headers"]:
            await self.app(scope, receive, noting)
            return
        await noting({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b"who are you?"})


def as_a_wrapper(app: CachingService) -> tuple[Any, Seen]:
    seen = Seen(app)
    return seen, seen


def as_middleware(app: CachingService) -> tuple[Any, Seen]:
    kept: list[Seen] = []

    def make(inner: Any) -> Seen:
        kept.append(Seen(inner))
        return kept[-1]

    app.add_middleware(make)  # type: ignore[arg-type]
    seen = Seen(None)
    seen.answered = Answered(kept)
    return app, seen


class Answered(list[tuple[str, int]]):
    """What the last of several wrappers has noted."""

    def __init__(self, kept: list[Seen]) -> None:
        self.kept = kept

    def __eq__(self, other: object) -> bool:
        return self.kept[-1].answered == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self.kept[-1].answered)


def as_opentelemetry_does(app: CachingService) -> tuple[Any, Seen]:
    """Wrap what the application builds, by a method of its own: opentelemetry-instrumentation-fastapi."""
    seen, build = Seen(None), app.build_middleware_stack

    def build_and_wrap(self: Any) -> Any:
        seen.app = build()
        return seen

    app.build_middleware_stack = types.MethodType(build_and_wrap, app)  # type: ignore[method-assign]
    return app, seen


def as_opentelemetry_does_late(app: CachingService) -> tuple[Any, Seen]:
    """Wrap a stack that has been built already."""
    app.middleware_stack = seen = Seen(app.build_middleware_stack())  # type: ignore[assignment]
    return app, seen


def in_an_application(app: CachingService) -> tuple[Any, Seen]:
    seen = Seen(app)
    return Starlette(routes=[Mount("/", app=seen)]), seen


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "stand",
    [as_a_wrapper, as_middleware, as_opentelemetry_does, as_opentelemetry_does_late, in_an_application],
)
def test_who_has_no_token_is_given_no_hit(
    app: CachingService, stand: Callable[[CachingService], tuple[Any, Seen]], way: str
) -> None:
    served_app, seen = stand(app)
    with served(served_app, way) as url:
        assert get(url, "/content/a").status == 401
        for _ in range(2):
            assert get(url, "/content/a", authorization="Bearer t0ken").status == 200
        assert "hit" in said(url, authorization="Bearer t0ken")
        assert get(url, "/content/a").status == 401
    assert seen.answered == [("/content/a", status) for status in (401, 200, 200, 200, 401)]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_patched_for_all_applications_sees_hits(
    app: CachingService, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Sentry does."""
    seen: list[str] = []
    entry = Starlette.__call__

    async def patched(self: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(scope["path"])
        await entry(self, scope, receive, send)

    with served(app, way) as url:
        get(url, "/content/a")
        assert "hit" in said(url)
        monkeypatch.setattr(Starlette, "__call__", patched)
        assert "hit" in said(url)
    assert seen == ["/content/a"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("added", [True, False], ids=["added", "around"])
def test_hits_are_compressed_by_what_compresses(settings: Settings, way: str, added: bool) -> None:
    app = create_app(settings)
    if added:
        app.add_middleware(GZipMiddleware)
    with served(app if added else GZipMiddleware(app), way) as url:
        plain = get(url, "/content/a").body
        answer = get(url, "/content/a", accept_encoding="gzip")
        assert "hit" in answer.headers["cache-status"]
        assert gzip.decompress(answer.body) == plain


@pytest.mark.parametrize("way", WAYS)
def test_a_route_that_asks_for_more_is_asked_for_hits_too(app: CachingService, way: str) -> None:
    def authenticated(request: Request) -> None:
        if "authorization" not in request.headers:
            raise HTTPException(401)

    needed = get_parameterless_sub_dependant(depends=Depends(authenticated), path="/content/{path:path}")
    for route in app.routes:
        if isinstance(route, APIRoute) and route.path.startswith("/content/"):
            route.dependant.dependencies.append(needed)
    with served(app, way) as url:
        for _ in range(2):
            assert get(url, "/content/a", authorization="any").status == 200
        assert get(url, "/content/a").status == 401


TRACED = """
import sys
sys.path[:0] = ["tests/support", "."]
from opentelemetry import trace
from app.main import create_app
from app.settings import Settings
from servers import get
from ways import served

class Provider(trace.TracerProvider):
    def get_tracer(self, *arguments, **named):
        return Tracer()

class Tracer(trace.NoOpTracer):
    def start_span(self, name, *arguments, **named):
        if named.get("kind") is trace.SpanKind.SERVER:
            spans.append(name)
        return super().start_span(name, *arguments, **named)

spans = []
trace.set_tracer_provider(Provider())
with served(create_app(Settings(sys.argv[2], redis_host="127.0.0.1", redis_port=int(sys.argv[3]),
                                redis_password=sys.argv[4])), sys.argv[1]) as url:
    get(url, "/content/a")
    before = len(spans)
    assert "hit" in get(url, "/content/a").headers["cache-status"]
    print(len(spans) - before, "spans of a hit")
"""


@pytest.mark.parametrize("way", ["fast", "uvicorn"])
def test_the_frameworks_own_telemetry_sees_hits(settings: Settings, way: str) -> None:
    pytest.importorskip("fastapi.telemetry", reason="this FastAPI has no telemetry of its own")
    arguments = [way, settings.upstream_url, str(settings.redis_port), settings.redis_password or ""]
    ended = subprocess.run(
        [sys.executable, "-c", TRACED, *arguments], capture_output=True, text=True, timeout=60, check=False,
        cwd=Path(__file__).parents[2], env=os.environ,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "1 spans of a hit" in ended.stdout


@pytest.mark.parametrize("way", WAYS)
def test_hits_take_the_short_way_where_nothing_stands_between(app: CachingService, way: str) -> None:
    reached: list[str] = []
    inner = app.router.middleware_stack

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            reached.append(scope["path"])
        await inner(scope, receive, send)

    app.router.middleware_stack = noted
    with served(app, way) as url:
        get(url, "/content/short")
        for method in ("GET", "HEAD", "GET"):
            assert "hit" in get(url, "/content/short", method).headers["cache-status"]
        assert app.bare
    assert len(reached) <= 1, "the miss alone"
