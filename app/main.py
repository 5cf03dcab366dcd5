"""The caching service: `GET /content/{path}` answers with the upstream's `/{path}`, from Redis if it can."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from app.envelope import Envelope
from app.metrics import Metrics
from app.settings import Settings
from app.store import Store, StoreError
from app.upstream import PathError, Upstream, UpstreamError, confined


class Cache:
    """Cache-aside: look, fetch, keep."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._ttl_s = settings.ttl_s
        self._metrics = metrics
        self._upstream = Upstream(settings)
        self.store = Store(settings) if settings.cached else None

    async def respond(self, path: str, query: str) -> Response:
        """Answer a request for a confined path."""
        name = f"{path}?{query}" if query else path
        reason = None if self.store else "no-cache"
        if self.store:
            try:
                found = await self.store.get(name)
            except StoreError as error:
                reason = error.reason
                self._metrics.redis_errors.labels(reason).inc()
            else:
                if found is not None:
                    return self._hit(found)
        return await self._fetch(path, query, name, reason)

    def _hit(self, found: Envelope) -> Response:
        self._metrics.requests.labels("hit").inc()
        age_s = found.age_s
        status = f"redis; hit; ttl={max(round(self._ttl_s) - age_s, 0)}"
        return Response(found.body, headers={**found.headers, "Age": str(age_s), "Cache-Status": status})

    async def _fetch(self, path: str, query: str, name: str, reason: str | None) -> Response:
        began = time.perf_counter()
        try:
            status, headers, body = await self._upstream.get(path, query)
        except UpstreamError:
            self._metrics.upstream.labels("error").inc()
            self._metrics.requests.labels("error").inc()
            return JSONResponse({"detail": "the upstream gave no answer"}, 502)
        self._metrics.upstream.labels(str(status)).inc()
        self._metrics.upstream_seconds.observe(time.perf_counter() - began)
        said = f"redis; fwd={'bypass' if reason else 'uri-miss'}; fwd-status={status}"
        upstream_age_s = int(headers.pop("age", "0")) if headers.get("age", "0").isdigit() else 0
        if reason:
            said += f"; detail={reason}"
        elif status == 200 and self.store:
            try:
                await self.store.put(name, Envelope(time.time() - upstream_age_s, headers, body))
            except StoreError as error:
                self._metrics.redis_errors.labels(error.reason).inc()
                said += f"; detail={error.reason}"
            else:
                said += "; stored"
        outcome = "error" if status >= 500 else "bypass" if reason else "miss"
        self._metrics.requests.labels(outcome).inc()
        return Response(body, status, {**headers, "Age": str(upstream_age_s), "Cache-Status": said})

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()
        if self.store:
            await self.store.close()


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service, configured from the environment unless told otherwise."""
    settings = settings or Settings.from_environment()
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.cache = Cache(settings, metrics)
        yield
        await app.state.cache.close()

    app = FastAPI(title="Caching service", lifespan=lifespan)

    @app.get("/content/{path:path}")
    async def content(path: str, request: Request) -> Response:
        try:
            # Not the parameter: the router's pattern loses a newline at the end of it.
            safe = confined(request.scope["path"].removeprefix("/content/"))
        except PathError as error:
            metrics.requests.labels("error").inc()
            return JSONResponse({"detail": str(error)}, 400)
        cache: Cache = request.app.state.cache
        return await cache.respond(safe, request.url.query)

    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("ok")

    @app.get("/readyz")
    async def readyz(request: Request) -> Response:
        store: Store | None = request.app.state.cache.store
        if store is not None:
            try:
                await store.ping()
            except StoreError as error:
                return PlainTextResponse(error.reason, 503)
        return PlainTextResponse("ready")

    @app.get("/metrics")
    async def metrics_text() -> Response:
        return PlainTextResponse(metrics.text())

    return app


def __getattr__(name: str) -> FastAPI:
    # uvicorn asks for `app.main:app`; importing this module for its parts needs no configuration.
    if name == "app":
        return create_app()
    raise AttributeError(name)
