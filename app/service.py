"""The FastAPI application, which answers hits before routing.

All that stands around it sees hits: a server, a wrapper, an application that it is mounted in, middleware.
Only the framework's own layers are passed by, where they are as this module knows them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app.answers import LOOK, Answer, Look, respond
from app.content.answering import Cache
from app.metrics import Metrics
from app.names import Asked, Names, PathError, Resource
from app.settings import Settings

# The framework's layers that do nothing to a request that none of its routes has seen yet.
_TRANSPARENT: Final = ("starlette.middleware.errors", "fastapi.telemetry._asgi", "fastapi._body_limit")
_LOOK_AGAIN_S: Final = 1.0  # whether the framework's telemetry is on takes microseconds to ask
_METHODS: Final = ("GET", "HEAD")
_NONE: Final = object()
Found = tuple[Resource, Look]


class CacheFirst:
    """The innermost middleware: it answers hits, and hands what it found on with everything else."""

    def __init__(self, app: Any, service: CachingService) -> None:
        self.app = app
        self._service = service

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by ASGI."""
        if scope["type"] == "http" and LOOK not in scope and await self._service.answered(scope, send):
            return
        await self.app(scope, receive, send)


class CachingService(FastAPI):
    """A FastAPI application with a cache.

    Hits are its routes' while dependencies are overridden (what a test replaces is replaced), and where the
    cached routes have more dependencies than they were made with (which may have to see every request).
    """

    def __init__(self, settings: Settings, metrics: Metrics, **options: Any) -> None:
        super().__init__(middleware=[Middleware(CacheFirst, service=self)], **options)
        self.names = Names(settings)
        self._settings = settings
        self._metrics = metrics
        self._cache: Cache | None = None
        self._direct: Any = _NONE  # the stack that leads straight to `CacheFirst`
        self._guarded = False
        self._observed = False
        self._observed_until_s = 0.0

    @property
    def cache(self) -> Cache:
        """The cache, made when it is asked for first: mounted applications are started by nobody."""
        if self._cache is None:
            self._cache = Cache(self._settings, self._metrics)
        return self._cache

    async def close(self) -> None:
        """Close the cache."""
        cache, self._cache = self._cache, None
        if cache is not None:
            await cache.close()

    def build_middleware_stack(self) -> Any:
        """Build the stack, as FastAPI does before the first request, and find out what is in it."""
        stack = super().build_middleware_stack()
        layer: Any = stack
        while type(layer).__module__ in _TRANSPARENT:
            layer = layer.app
        routes = [route for route in self.routes if isinstance(route, APIRoute) and _is_cached(route)]
        self._guarded = any(
            needed.call is not get_cache for route in routes for needed in route.dependant.dependencies
        )
        self._direct = stack if type(layer) is CacheFirst and not self._guarded else _NONE
        return stack

    @property
    def bare(self) -> bool:
        """Whether nothing stands between this application's entry and its cache."""
        if time.monotonic() >= self._observed_until_s:
            self._observe()
        return (
            self.middleware_stack is self._direct
            and not self._observed
            and not self.dependency_overrides
            and FastAPI.__call__ is _FASTAPI
            and Starlette.__call__ is _STARLETTE
        )

    def _observe(self) -> None:
        """Find out whether the framework's own telemetry has to see every request."""
        native = getattr(self, "_native_telemetry", None)  # since FastAPI 0.16x
        self._observed = native is not None and native.enabled()
        self._observed_until_s = time.monotonic() + _LOOK_AGAIN_S

    def ask(self, resource: Resource, tell: Callable[[Look | Answer], None]) -> bool:
        """Ask the cache, for a server, as `Cache.ask` does; False, too, where something stands between."""
        cache = self._cache
        return cache is not None and self.bare and cache.ask(resource, tell)

    def asked(self, scope: Any) -> Asked | None:
        """Return what a request asks for; None if it is none for the cache.

        Raises:
            PathError: its path would leave the upstream.
        """
        if scope["method"] not in _METHODS:
            return None
        return self.names.asked(
            scope["path"],
            scope.get("raw_path"),
            scope["query_string"],
            scope.get("root_path", ""),
            scope["headers"],
        )

    async def answered(self, scope: Any, send: Any) -> bool:
        """Answer a hit; for all else leave what was found in the scope, and return False."""
        if self._guarded or self.dependency_overrides:
            return False
        try:
            asked = self.asked(scope)
        except PathError:
            return False  # the route says what is wrong with it
        if asked is None:
            return False
        resource, if_none_match = asked
        look = await self.cache.look(resource)
        if isinstance(look, Look):
            scope[LOOK] = resource, look
            return False
        await respond(look.unless(if_none_match), send, with_body=scope["method"] == "GET")
        return True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer by ASGI."""
        if scope["type"] == "http" and LOOK not in scope and self.bare and await self.answered(scope, send):
            return
        await super().__call__(scope, receive, send)


def _entry(kind: type) -> Any:
    """Return how applications of a kind are called; None if that was changed before this module saw it."""
    call = kind.__call__
    own = isinstance(call, FunctionType) and call.__globals__.get("__name__") == kind.__module__
    return call if own else None


_FASTAPI: Final = _entry(FastAPI)
_STARLETTE: Final = _entry(Starlette)


def _is_cached(route: APIRoute) -> bool:
    return route.path.startswith("/content/")


def get_cache(request: Request) -> Cache:
    """Return the app's cache; a test may override it."""
    service: CachingService = request.app
    return service.cache


def found_before(request: Request, resource: Resource) -> Look | None:
    """Return what was found of a resource before the request came to its route."""
    found: Found | None = request.scope.get(LOOK)
    return found[1] if found is not None and found[0] == resource else None
