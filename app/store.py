"""The cache in Redis. Whatever Redis does, it tells within a bounded time: a value, nothing, or why not."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final

from app.breaker import Breaker
from app.envelope import Envelope, EnvelopeError
from app.resp import Connection, GarbageError, RefusedError, encode, encode_get
from app.settings import Settings

TIMEOUT_S: Final = 0.1
_CONTENT: Final = b"content:"
_LEASE: Final = b"lease:"
# Only its holder gives a lease back: another's may have taken its place since.
_RELEASE: Final = b"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end"
# By the first word of an error reply (https://redis.io/docs/latest/develop/reference/protocol-spec/).
_REFUSALS: Final = {
    "NOAUTH": "redis-auth",
    "WRONGPASS": "redis-auth",
    "NOPERM": "redis-denied",
    "LOADING": "redis-loading",
    "READONLY": "redis-readonly",
    "OOM": "redis-full",
}


class StoreError(Exception):
    """Redis could not be asked; `reason` is one word for headers and metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Store:
    """Responses by name, over one connection behind a breaker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._breaker = Breaker(self._probe)

    async def get(self, name: bytes) -> Envelope | None:
        """Return what is stored under a name, fresh or not.

        Raises:
            StoreError: Redis could not be asked.
        """
        data = await self._ask(encode_get(_CONTENT + name))
        if data is None:
            return None
        try:
            return Envelope.unpack(data)
        except EnvelopeError:
            return None  # somebody else's bytes: to be overwritten

    async def put(self, name: bytes, envelope: Envelope, keep_s: float) -> None:
        """Store a response for so many seconds.

        Raises:
            StoreError: Redis did not take it.
        """
        keep_ms = max(round(keep_s * 1000), 1)
        await self._ask(encode(b"SET", _CONTENT + name, envelope.pack(), b"PX", b"%d" % keep_ms))

    async def claim(self, name: bytes, token: bytes, lease_s: float) -> bool:
        """Take the lease of a name for at most so many seconds; False if another holds it.

        Raises:
            StoreError: Redis could not be asked.
        """
        lease_ms = max(round(lease_s * 1000), 1)
        taken = await self._ask(encode(b"SET", _LEASE + name, token, b"NX", b"PX", b"%d" % lease_ms))
        return taken is not None

    async def release(self, name: bytes, token: bytes) -> None:
        """Give a lease back, if it is still held with this token.

        Raises:
            StoreError: Redis could not be asked; the lease ends by itself.
        """
        await self._ask(encode(b"EVAL", _RELEASE, b"1", _LEASE + name, token))

    async def ping(self) -> None:
        """Ask whether Redis is there, whatever the breaker says.

        Raises:
            StoreError: it is not.
        """
        try:
            await self._probe()
        except (OSError, RefusedError) as error:
            raise StoreError(_reason(error)) from error

    async def close(self) -> None:
        """Close the connection."""
        await self._breaker.close()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()

    async def _ask(self, command: bytes) -> Any:
        if self._breaker.reason is not None:
            raise StoreError(self._breaker.reason)
        try:
            connection = self._connection
            if connection is None or not connection.open:
                connection = await self._connected()
            return await connection.ask(command)
        except OSError as error:  # TimeoutError and ConnectionError are among them
            reason = _reason(error)
            self._breaker.trip(reason)
            raise StoreError(reason) from error
        except RefusedError as error:
            raise StoreError(_reason(error)) from error

    async def _probe(self) -> None:
        connection = self._connection
        if connection is None or not connection.open:
            connection = await self._connected()
        await connection.ask(encode(b"PING"))

    async def _connected(self) -> Connection:
        """Return an open connection; who comes meanwhile waits for the same one."""
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return await asyncio.shield(self._connecting)

    def _connect_ended(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._connection = task.result()

    async def _connect(self) -> Connection:
        settings, loop = self._settings, asyncio.get_running_loop()
        async with asyncio.timeout(TIMEOUT_S):
            if settings.redis_socket:
                _, connection = await loop.create_unix_connection(
                    lambda: Connection(TIMEOUT_S), settings.redis_socket
                )
            else:
                _, connection = await loop.create_connection(
                    lambda: Connection(TIMEOUT_S),
                    settings.redis_host or "localhost",
                    settings.redis_port,
                    ssl=ssl.create_default_context() if settings.redis_tls else None,
                )
            try:
                await self._log_in(connection)
            except BaseException:
                connection.close()
                raise
            return connection

    async def _log_in(self, connection: Connection) -> None:
        if self._settings.redis_password:
            user = [self._settings.redis_user.encode()] if self._settings.redis_user else []
            try:
                await connection.ask(encode(b"AUTH", *user, self._settings.redis_password.encode()))
            except RefusedError as error:
                raise ConnectionRefusedError(str(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, GarbageError):
        return "redis-garbage"
    if isinstance(error, TimeoutError):
        return "redis-timeout"
    if isinstance(error, OSError) and not isinstance(error.__cause__, RefusedError):
        return "redis-down"
    return _REFUSALS.get(str(error).split(" ", 1)[0], "redis-error")
