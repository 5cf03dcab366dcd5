"""The cache in Redis. Whatever Redis does, an answer comes within a bounded time: a value, nothing, or why not."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)

from app.envelope import Envelope, EnvelopeError
from app.settings import Settings

TIMEOUT_S: Final = 0.1
# The first that fits names the reason; subclasses stand before their parents.
_REASONS: Final = (
    (AuthenticationError, "redis-auth"),
    (NoPermissionError, "redis-denied"),
    (BusyLoadingError, "redis-loading"),
    (ReadOnlyError, "redis-readonly"),
    (OutOfMemoryError, "redis-full"),
    (TimeoutError, "redis-timeout"),
    (ConnectionError, "redis-down"),
)


class StoreError(Exception):
    """Redis could not be asked; `reason` is one word for headers and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Store:
    """Responses by path, kept for the time to live."""

    def __init__(self, settings: Settings) -> None:
        options = {
            "username": settings.redis_user,
            "password": settings.redis_password,
            "socket_timeout": TIMEOUT_S,
            "socket_connect_timeout": TIMEOUT_S,
            # One try: a retry would only make the caller wait longer for the upstream.
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
        }
        if settings.redis_socket:
            options |= {"connection_class": UnixDomainSocketConnection, "path": settings.redis_socket}
        else:
            options |= {
                "connection_class": Connection,
                "host": settings.redis_host,
                "port": settings.redis_port,
            }
        self._redis = Redis(connection_pool=ConnectionPool(**options))
        self._ttl_ms = max(round(settings.ttl_s * 1000), 1)

    async def get(self, path: str) -> Envelope | None:
        """Return what is stored for a path.

        Raises:
            StoreError: Redis could not be asked.
        """
        try:
            data = await self._redis.get(f"content:{path}")
        except (RedisError, OSError) as error:
            raise StoreError(_reason(error)) from error
        if data is None:
            return None
        try:
            return Envelope.unpack(data)
        except EnvelopeError:
            return None  # somebody else's bytes: to be overwritten

    async def put(self, path: str, envelope: Envelope) -> None:
        """Store a response for the time to live.

        Raises:
            StoreError: Redis did not take it.
        """
        try:
            await self._redis.set(f"content:{path}", envelope.pack(), px=self._ttl_ms)
        except (RedisError, OSError) as error:
            raise StoreError(_reason(error)) from error

    async def ping(self) -> None:
        """Ask whether Redis is there.

        Raises:
            StoreError: it is not.
        """
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise StoreError(_reason(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await self._redis.connection_pool.disconnect()


def _reason(error: Exception) -> str:
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "redis-error"
