"""The caching service: `GET /content/{path}` answers with the upstream's `/{path}`, from Redis if it can."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.convertors import PathConvertor, register_url_convertor

from app import logs
from app.answers import Answer, Look
from app.content.answering import Cache
from app.metrics import Metrics
from app.names import PathError
from app.service import CachingService, found_before, get_cache
from app.settings import ConfigurationError, Settings
from app.store.resp import RedisError
from app.store.tls import context_of

# The upstream's own status is passed on, whatever it is; these are what APIs usually answer.
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The upstream's answer, or a cached one.", "content": {"*/*": {}}},
    301: {"description": "A redirect of the upstream that this service does not follow."},
    302: {"description": "The same, temporarily."},
    304: {"description": "The client already has the current response, by its `If-None-Match`."},
    400: {"description": "The path would leave the upstream."},
    403: {"description": "The upstream refuses."},
    404: {"description": "The upstream has no such resource."},
    410: {"description": "The upstream no longer has the resource."},
    429: {"description": "The upstream has been called too often."},
    500: {"description": "The upstream failed; `Cache-Status` has its status as `fwd-status`."},
    502: {"description": "The upstream gave no answer, and nothing is cached."},
    503: {"description": "The upstream's quota is used up, and nothing is cached."},
}


class _Anything(PathConvertor):
    """Any path below the prefix: Starlette's own has no line ends in it, which are the app's to refuse."""

    regex = r"[\s\S]*"


register_url_convertor("anything", _Anything())


class CachedResponse(Response):
    """An answer, as FastAPI knows responses."""

    def __init__(self, answer: Answer, *, with_body: bool) -> None:
        super().__init__(answer.body if with_body else b"", answer.status)
        self.raw_headers = answer.headers()


def create_app(settings: Settings | None = None) -> CachingService:
    """Return the service, configured from the environment unless told otherwise."""
    settings = settings or Settings.from_environment()
    context_of(settings)  # what cannot be read is said now, and not when Redis is asked first
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: CachingService) -> AsyncIterator[None]:
        logs.configure()
        metrics.warn()
        assert app.cache is not None  # it is made now, and not for the first request
        # What is loaded by now stays: the collector need not go through it again while requests wait.
        gc.collect()
        gc.freeze()
        yield
        await app.close()

    app = CachingService(settings, metrics, title="Caching service", lifespan=lifespan)

    @app.head("/content/{path:anything}", response_class=Response, responses=_ANSWERS)
    @app.get("/content/{path:anything}", response_class=Response, responses=_ANSWERS)
    async def content(path: str, request: Request, cache: Annotated[Cache, Depends(get_cache)]) -> Response:
        """Answer with the upstream's `/{path}`."""
        try:
            # Not the route's parameter, which is decoded: two paths as sent are two resources.
            asked = app.asked(request.scope)
        except PathError as error:
            metrics.requests["error"] += 1
            return JSONResponse({"detail": str(error)}, 400, {"Cache-Status": "redis; detail=refused"})
        assert asked is not None, "the route is below the prefix"
        resource, if_none_match = asked
        look: Look | Answer = found_before(request, resource) or await cache.look(resource)
        answer = look if isinstance(look, Answer) else await cache.answer(resource, look)
        return CachedResponse(answer.unless(if_none_match), with_body=request.method == "GET")

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
        try:
            return create_app()
        except ConfigurationError as error:
            sys.exit(f"The app cannot start. {error}")
    raise AttributeError(name)
