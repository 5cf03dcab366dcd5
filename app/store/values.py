"""The cache in Redis. Whatever Redis does, it tells within a bounded time: a value, nothing, or why not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any, Final

from app.logs import Seldom
from app.metrics import Metrics
from app.settings import Settings
from app.store.breaker import Breaker
from app.store.dialing import TIMEOUT_S as TIMEOUT_S
from app.store.dialing import Dialer
from app.store.envelope import ASKED_AT, MAGIC
from app.store.resp import Connection, RedisError, RefusedError, encode

_log = logging.getLogger(__name__)
_FOLLOW_S: Final = 1.0  # a name is looked up again at most this often
_CONTENT: Final = b"content:"
_GET: Final = b"*2\r\n$3\r\nGET\r\n$%d\r\n" + _CONTENT + b"%b\r\n"  # as `encode` would, in one step
_LEASE: Final = b"lease:"
PASS: Final = b"pass"  # in a lease's place: what is fetched is not kept, so that nobody need wait for it
_PASS_MS: Final = 1000
# Only its holder gives a lease back: another's may have taken its place since.
_IF_HELD: Final = b"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call(%b) end"
_RELEASE: Final = _IF_HELD % b"'DEL', KEYS[1]"
_RELEASE_TO_ALL: Final = _IF_HELD % b"'SET', KEYS[1], '%b', 'PX', %d" % (PASS, _PASS_MS)
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
        self._dialer = Dialer(settings, self._failed, metrics.redis_seconds.observe, self._outdated)
        self._follow_s = 0.0
        self._seldom = Seldom(_log)
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._breaker = Breaker(self.ping)

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
            self._seldom.warning(
                "redis permits no scripts: an older response may replace a newer one", error=str(error)
            )
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

    async def holder(self, key: bytes) -> bytes | None:
        """Return the token of who holds the lease of a key; `PASS` where nobody need wait for it.

        Raises:
            RedisError: Redis could not be asked.
        """
        try:
            answer = await self._ask(encode(b"GET", _LEASE + key))
        except RedisError as error:
            if not of_another_type(error):
                raise
            await self._pass(key, _PASS_MS)
            return PASS
        if answer is None or isinstance(answer, bytes):
            return answer
        raise self.garbled()

    async def release(self, key: bytes, token: bytes, *, kept: bool) -> None:
        """Give a lease back, if it is still held with this token; for a second to all, if nothing was kept.

        Raises:
            RedisError: Redis could not be asked; the lease ends by itself.
        """
        try:
            script = _RELEASE if kept else _RELEASE_TO_ALL
            await self._ask(encode(b"EVAL", script, b"1", _LEASE + key, token))
        except RefusedError as error:
            if not _without_permission(error):
                raise
            self._seldom.warning(
                "redis permits no scripts: leases are released without them", error=str(error)
            )
            # Another's lease may take its place in between, and end early: then there is a call more.
            if await self.holder(key) == token:
                await self._pass(key, 1 if kept else _PASS_MS)

    async def _pass(self, key: bytes, for_ms: int) -> None:
        await self._ask(encode(b"SET", _LEASE + key, PASS, b"PX", b"%d" % for_ms))

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
        error = RedisError("redis-garbage", "the server is not a Redis")
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
        self._breaker.trip(error.reason, str(error))

    async def _connected(self) -> Connection:
        """Return an open connection; who comes meanwhile waits for the same one."""
        if self._connection is not None and self._connection.open:
            return self._connection
        return await asyncio.shield(self._connecting or self._dial())

    def _connect_ended(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            former, self._connection = self._connection, task.result()
            if former is not None:
                former.retire()

    def _outdated(self, error: RefusedError) -> None:
        """Follow the name to where it leads now: whatever Redis refuses for this reason it refuses for good.

        The connection serves until there is another: reads may still be answered.
        """
        now_s = time.monotonic()
        if not error.outdated or self._connecting is not None or now_s < self._follow_s:
            return
        self._follow_s = now_s + _FOLLOW_S
        self._seldom.warning("redis is looked up again", reason=error.reason, error=str(error))
        self._dial()

    def _dial(self) -> asyncio.Task[Connection]:
        self._connecting = asyncio.get_running_loop().create_task(self._dialer.connect())
        self._connecting.add_done_callback(self._connect_ended)
        return self._connecting


def of_another_type(error: RedisError) -> bool:
    """Tell whether Redis has something under a key that is no string: it is overwritten as any rubbish is."""
    return isinstance(error, RefusedError) and str(error).startswith("WRONGTYPE")


def _without_permission(error: RefusedError) -> bool:
    said = str(error)
    return error.reason == "redis-denied" or "ACL failure" in said or said.startswith("ERR unknown command")
