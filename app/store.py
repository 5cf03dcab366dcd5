"""The cache in Redis. Whatever Redis does, it tells within a bounded time: a value, nothing, or why not."""

from __future__ import annotations

from typing import Final

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.envelope import Envelope, EnvelopeError
from app.settings import Settings

TIMEOUT_S: Final = 0.1
# The first that fits names the reason; subclasses stand before their parents.
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (exceptions.AuthenticationError, "redis-auth"),
    (exceptions.NoPermissionError, "redis-denied"),
    (exceptions.BusyLoadingError, "redis-loading"),
    (exceptions.ReadOnlyError, "redis-readonly"),
    (exceptions.OutOfMemoryError, "redis-full"),
    (exceptions.TimeoutError, "redis-timeout"),
    (exceptions.ConnectionError, "redis-down"),
)


class StoreError(Exception):
    """Redis could not be asked; `reason` is one word for headers and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Store:
    """Responses by path, kept for the time to live."""

    def __init__(self, settings: Settings) -> None:
        self._redis = Redis(
            host=settings.redis_host or "localhost",
            port=settings.redis_port,
            unix_socket_path=settings.redis_socket,
            username=settings.redis_user,
            password=settings.redis_password,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # One try: a retry would only make the caller wait longer for the upstream.
            retry=Retry(NoBackoff(), 0),
        )
        self._ttl_ms = max(round(settings.ttl_s * 1000), 1)

    async def get(self, path: str) -> Envelope | None:
        """Return what is stored for a path.

        Raises:
            StoreError: Redis could not be asked.
        """
        try:
            data: bytes | None = await self._redis.get(f"content:{path}")  # type: ignore[assignment]
        except (exceptions.RedisError, OSError) as error:
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
        except (exceptions.RedisError, OSError) as error:
            raise StoreError(_reason(error)) from error

    async def ping(self) -> None:
        """Ask whether Redis is there.

        Raises:
            StoreError: it is not.
        """
        try:
            await self._redis.ping()
        except (exceptions.RedisError, OSError) as error:
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
