"""The cache in Redis. Whatever Redis does, it tells within a bounded time: a value, nothing, or why not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable
from typing import Any, Final

from app.breaker import Breaker
from app.metrics import Metrics
from app.resp import Connection, RedisError, encode
from app.settings import Settings

TIMEOUT_S: Final = 0.1
_CONTENT: Final = b"content:"
_GET: Final = b"*2\r\n$3\r\nGET\r\n$%d\r\n" + _CONTENT + b"%b\r\n"  # as `encode` would, in one step
_LEASE: Final = b"lease:"
_PASS: Final = b"pass"  # in a lease's place: what is fetched is not kept, so that nobody need wait for it
_PASS_MS: Final = 1000
# Only its holder gives a lease back: another's may have taken its place since.
_IF_HELD: Final = b"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call(%b) end"
_RELEASE: Final = _IF_HELD % b"'DEL', KEYS[1]"
_RELEASE_TO_ALL: Final = _IF_HELD % b"'SET', KEYS[1], '%b', 'PX', %d" % (_PASS, _PASS_MS)


class Store:
    """Packed responses by name, over one connection behind a breaker."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._answered = metrics.redis_seconds.observe
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._breaker = Breaker(self.ping)

    def asked(self, name: bytes) -> asyncio.Future[bytes | None] | None:
        """Ask for what is stored under a name; None, and nothing is asked, where that could not be done now.

        The future raises `RedisError` if Redis does not answer, or refuses. What is neither bytes nor None is
        nothing that Redis says to this: `garbled` tells what to make of it.
        """
        connection = self._connection
        if connection is None or not connection.open or self._breaker.reason is not None:
            return None
        return connection.ask(_GET % (len(_CONTENT) + len(name), name))

    async def get(self, name: bytes) -> bytes | None:
        """Return what is stored under a name.

        Raises:
            RedisError: Redis could not be asked.
        """
        answer = await self._ask(encode(b"GET", _CONTENT + name))
        if answer is None or isinstance(answer, bytes):
            return answer
        raise self.garbled()

    async def put(self, name: bytes, data: bytes, keep_s: float) -> None:
        """Store a packed response for so many seconds.

        Raises:
            RedisError: Redis did not take it.
        """
        keep_ms = max(round(keep_s * 1000), 1)
        if await self._ask(encode(b"SET", _CONTENT + name, data, b"PX", b"%d" % keep_ms)) != b"OK":
            raise self.garbled()

    async def forget(self, name: bytes) -> None:
        """Remove what is stored under a name.

        Raises:
            RedisError: Redis did not do it.
        """
        await self._ask(encode(b"DEL", _CONTENT + name))

    async def claim(self, name: bytes, token: bytes, lease_s: float) -> bool:
        """Take the lease of a name for at most so many seconds; False if another holds it.

        Raises:
            RedisError: Redis could not be asked.
        """
        lease_ms = max(round(lease_s * 1000), 1)
        taken = await self._ask(encode(b"SET", _LEASE + name, token, b"NX", b"PX", b"%d" % lease_ms))
        if taken is None or taken == b"OK":
            return taken is not None
        raise self.garbled()

    async def passed(self, name: bytes) -> bool:
        """Tell whether nobody need wait for the lease of a name, as who held it last kept nothing.

        Raises:
            RedisError: Redis could not be asked.
        """
        return bool(await self._ask(encode(b"GET", _LEASE + name)) == _PASS)

    async def release(self, name: bytes, token: bytes, *, kept: bool) -> None:
        """Give a lease back, if it is still held with this token; for a second to all, if nothing was kept.

        Raises:
            RedisError: Redis could not be asked; the lease ends by itself.
        """
        script = _RELEASE if kept else _RELEASE_TO_ALL
        await self._ask(encode(b"EVAL", script, b"1", _LEASE + name, token))

    async def ping(self) -> None:
        """Ask whether Redis is there, whatever the breaker says.

        Raises:
            RedisError: it is not.
        """
        connection = await self._connected()
        if await connection.ask(encode(b"PING")) != b"PONG":
            raise self.garbled()

    def garbled(self) -> RedisError:
        """Give up a connection whose answer is none to what was asked; returns what to say of it."""
        error = RedisError("redis-garbage", "what answers is no Redis")
        if self._connection is not None:
            self._connection.close(error)
        self._failed(error)
        return error

    async def close(self) -> None:
        """Close the connection."""
        await self._breaker.close()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            self._connection.close()

    def _ask(self, command: bytes) -> Awaitable[Any]:
        if self._breaker.reason is not None:
            raise RedisError(self._breaker.reason)
        if self._connection is not None and self._connection.open:
            return self._connection.ask(command)
        return self._connect_and_ask(command)

    async def _connect_and_ask(self, command: bytes) -> Any:
        try:
            connection = await self._connected()
        except RedisError as error:
            self._failed(error)
            raise
        return await connection.ask(command)

    def _failed(self, error: RedisError) -> None:
        self._breaker.trip(error.reason)

    async def _connected(self) -> Connection:
        """Return an open connection; who comes meanwhile waits for the same one."""
        if self._connection is not None and self._connection.open:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connect_ended)
        return await asyncio.shield(self._connecting)

    def _connect_ended(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._connection = task.result()

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                connection = await self._opened()
                try:
                    await self._log_in(connection)
                except BaseException:
                    connection.close()
                    raise
                return connection
        except TimeoutError as error:
            raise RedisError("redis-timeout", "Redis could not be reached in time") from error
        except OSError as error:
            raise RedisError("redis-down", str(error)) from error

    async def _opened(self) -> Connection:
        settings, loop = self._settings, asyncio.get_running_loop()

        def protocol() -> Connection:
            return Connection(TIMEOUT_S, self._failed, self._answered)

        if settings.redis_socket:
            _, connection = await loop.create_unix_connection(protocol, settings.redis_socket)
        else:
            _, connection = await loop.create_connection(
                protocol,
                settings.redis_host or "localhost",
                settings.redis_port,
                ssl=ssl.create_default_context() if settings.redis_tls else None,
            )
        return connection

    async def _log_in(self, connection: Connection) -> None:
        if self._settings.redis_password:
            user = [self._settings.redis_user.encode()] if self._settings.redis_user else []
            await connection.ask(encode(b"AUTH", *user, self._settings.redis_password.encode()))
