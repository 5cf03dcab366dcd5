"""The cache in Redis. Whatever Redis does, it tells within a bounded time: a value, nothing, or why not."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable
from typing import Any, Final

from app.breaker import Breaker
from app.envelope import ASKED_AT, MAGIC
from app.metrics import Metrics
from app.resp import Connection, RedisError, RefusedError, encode
from app.settings import Settings

_log = logging.getLogger(__name__)
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
# What was asked for later stays, unless that is later than now: then a clock is ahead, or the value broken.
# ARGV: the packed response, now (epoch, seconds), its lifetime (ms).
_PUT: Final = b"""local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and #held >= %d and string.sub(held, 1, %d) == '%b' then
  local asked = struct.unpack('>d', held, %d)
  if asked > struct.unpack('>d', ARGV[1], %d) and asked <= tonumber(ARGV[2]) then return 0 end
end
return redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])""" % (
    ASKED_AT + 8, len(MAGIC), MAGIC, ASKED_AT + 1, ASKED_AT + 1,
)  # fmt: skip


class Store:
    """Packed responses by key, over one connection behind a breaker."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._answered = metrics.redis_seconds.observe
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._breaker = Breaker(self.ping)
        self._said: set[str] = set()

    def asked(self, key: bytes) -> asyncio.Future[bytes | None] | None:
        """Ask for what is stored under a key; None, and nothing is asked, where that could not be done now.

        The future raises `RedisError` if Redis does not answer, or refuses (see `of_another_type`). What is
        neither bytes nor None is nothing that Redis says to this: `garbled` tells what to make of it.
        """
        connection = self._connection
        if connection is None or not connection.open or self._breaker.reason is not None:
            return None
        return connection.ask(_GET % (len(_CONTENT) + len(key), key))

    async def get(self, key: bytes) -> bytes | None:
        """Return what is stored under a key; a value of another type is none.

        Raises:
            RedisError: Redis could not be asked.
        """
        try:
            answer = await self._ask(encode(b"GET", _CONTENT + key))
        except RedisError as error:
            if of_another_type(error):
                return None
            raise
        if answer is None or isinstance(answer, bytes):
            return answer
        raise self.garbled()

    async def put(self, key: bytes, data: bytes, keep_s: float, now_s: float) -> bool:
        """Store a packed response for so many seconds; False if one that was asked for later is there.

        `now_s` is the epoch. Whatever else is stored there is overwritten.

        Raises:
            RedisError: Redis did not take it.
        """
        keep_ms = b"%d" % max(round(keep_s * 1000), 1)
        where = _CONTENT + key
        try:
            answer = await self._ask(encode(b"EVAL", _PUT, b"1", where, data, b"%.6f" % now_s, keep_ms))
        except RefusedError as error:
            if not _without_permission(error):
                raise
            self._say_once("redis permits no scripts: an older response may replace a newer one", error)
            answer = await self._ask(encode(b"SET", where, data, b"PX", keep_ms))
        if answer in (b"OK", 0):
            return bool(answer)
        raise self.garbled()

    async def claim(self, key: bytes, token: bytes, lease_s: float) -> bool:
        """Take the lease of a key for at most so many seconds; False if another holds it.

        Raises:
            RedisError: Redis could not be asked.
        """
        lease_ms = max(round(lease_s * 1000), 1)
        taken = await self._ask(encode(b"SET", _LEASE + key, token, b"NX", b"PX", b"%d" % lease_ms))
        if taken is None or taken == b"OK":
            return taken is not None
        raise self.garbled()

    async def passed(self, key: bytes) -> bool:
        """Tell whether nobody need wait for the lease of a key, as who held it last kept nothing.

        Raises:
            RedisError: Redis could not be asked.
        """
        try:
            return bool(await self._ask(encode(b"GET", _LEASE + key)) == _PASS)
        except RedisError as error:
            if not of_another_type(error):
                raise
        await self._ask(encode(b"SET", _LEASE + key, _PASS, b"PX", b"%d" % _PASS_MS))
        return True

    async def release(self, key: bytes, token: bytes, *, kept: bool) -> None:
        """Give a lease back, if it is still held with this token; for a second to all, if nothing was kept.

        Raises:
            RedisError: Redis could not be asked; the lease ends by itself.
        """
        script = _RELEASE if kept else _RELEASE_TO_ALL
        await self._ask(encode(b"EVAL", script, b"1", _LEASE + key, token))

    async def ping(self) -> None:
        """Ask whether Redis is there, whatever the breaker says.

        Raises:
            RedisError: it is not.
        """
        connection = await self._connected()
        if await connection.ask(encode(b"PING")) != b"PONG":
            raise self.garbled()

    def _say_once(self, what: str, error: RedisError) -> None:
        if what not in self._said:
            self._said.add(what)
            _log.warning(what, extra={"error": str(error)})

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


def of_another_type(error: RedisError) -> bool:
    """Tell whether Redis has something under a key that is no string: it is overwritten as any rubbish is."""
    return isinstance(error, RefusedError) and str(error).startswith("WRONGTYPE")


def _without_permission(error: RefusedError) -> bool:
    return error.reason == "redis-denied" or "ACL failure" in str(error)
