"""The caching service: `GET /content/{path}` answers with the upstream's `/{path}`, from Redis if it can."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from app import logs
from app.cache import ASK, LOOK, Answer, Cache, Look
from app.envelope import pairs
from app.metrics import Metrics
from app.names import PathError, name_of
from app.resp import RedisError
from app.settings import Settings

# The upstream's own status is passed on, whatever it is; these are what APIs usually answer.
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The upstream's answer, or what is cached of it.", "content": {"*/*": {}}},
    301: {"description": "A redirect of the upstream's, to where this service does not go."},
    302: {"description": "The same, for the time being."},
    400: {"description": "The path would leave the upstream."},
    403: {"description": "The upstream refuses."},
    404: {"description": "The upstream has no such thing."},
    410: {"description": "The upstream has it no more."},
    429: {"description": "The upstream has been called too often."},
    500: {"description": "The upstream failed; `Cache-Status` has its status as `fwd-status`."},
    502: {"description": "The upstream gave no answer, and nothing is cached."},
    503: {"description": "The upstream's quota is spent, and nothing is cached."},
}


class CachingService(FastAPI):
    """A FastAPI application with a cache, which `app.hits` asks before the application is asked.

    Not where middleware was added, which may have to see every request, and not while dependencies are
    overridden: what a test replaces is replaced.
    """

    cache: Cache

    def ask(self, name: bytes, tell: Callable[[Look | Answer], None]) -> bool:
        """Ask the cache as `Cache.ask` does; False, too, where every request is the application's."""
        return not self.dependency_overrides and not self.user_middleware and self.cache.ask(name, tell)


class CachedResponse(Response):
    """An answer, as FastAPI knows responses."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body, answer.status)
        self.raw_headers = pairs(answer.head)


def get_cache(request: Request) -> Cache:
    """Return the app's cache; a test may override it."""
    service: CachingService = request.app
    return service.cache


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service, configured from the environment unless told otherwise."""
    settings = settings or Settings.from_environment()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: CachingService) -> AsyncIterator[dict[str, Any]]:
        logs.configure()
        app.cache = Cache(settings, metrics)
        # What is loaded by now stays: the collector need not go through it again while requests wait.
        gc.collect()
        gc.freeze()
        yield {ASK: app.ask}
        await app.cache.close()

    app = CachingService(title="Caching service", lifespan=lifespan)

    @app.head("/content/{path:path}", response_class=Response, responses=_ANSWERS)
    @app.get("/content/{path:path}", response_class=Response, responses=_ANSWERS)
    async def content(path: str, request: Request, cache: Annotated[Cache, Depends(get_cache)]) -> Response:
        """Answer with the upstream's `/{path}`."""
        try:
            # Not the route's parameter: its pattern loses a newline at the end.
            name = name_of(request.scope["path"], request.scope["query_string"])
        except PathError as error:
            metrics.requests["error"] += 1
            return JSONResponse({"detail": str(error)}, 400)
        look: Look | Answer = request.scope.get(LOOK) or await cache.look(name)
        return CachedResponse(look if isinstance(look, Answer) else await cache.answer(name, look))

    _add_operations(app, metrics)
    return app


def _add_operations(app: FastAPI, metrics: Metrics) -> None:
    """Add what those ask who run the service."""

    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """Tell that the process serves."""
        return "ok"

    @app.get("/readyz", response_class=PlainTextResponse, responses={503: {"description": "Why not."}})
    async def readyz(cache: Annotated[Cache, Depends(get_cache)]) -> Any:
        """Tell whether Redis answers."""
        if cache.store is not None:
            try:
                await cache.store.ping()
            except RedisError as error:
                return PlainTextResponse(error.reason, 503)
        return "ready"

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics_text() -> Response:
        """Return all counters, in Prometheus' format."""
        return PlainTextResponse(metrics.text())


def __getattr__(name: str) -> FastAPI:
    # uvicorn asks for `app.main:app`; importing this module for its parts needs no configuration.
    if name == "app":
        return create_app()
    raise AttributeError(name)
