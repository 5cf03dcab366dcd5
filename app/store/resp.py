"""A Redis client for one purpose: pipelined commands on one connection, each answered within a bounded time.

Commands are written as they come and answered in order, so that all requests of the service share one
connection without waiting for one another. A caller that is cancelled leaves its place in the line: its
answer is read and dropped, and no other caller's answer is shifted.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import hiredis

from app.store.tls import cause_of

_UNFINISHED: Final = object()
# Of the timeout: then Redis is under suspicion, and has the rest. A loop that is late itself may have neither
# sent the command nor read the answer when the timer comes, and does both meanwhile.
_SUSPICION: Final = 0.8
_LONGEST: Final = 10  # times the timeout: for how long bytes that still come put the end off
# By the first word of an error reply (https://redis.io/docs/latest/develop/reference/protocol-spec/).
_REFUSALS: Final = {
    "NOAUTH": "redis-auth",
    "WRONGPASS": "redis-auth",
    "MASTERDOWN": "redis-masterdown",
    "NOPERM": "redis-denied",
    "LOADING": "redis-loading",
    "READONLY": "redis-readonly",
    "OOM": "redis-full",
}
# What Redis refuses on this connection for good: after a failover it is a replica, or knows nobody any more.
_OUTDATED: Final = ("redis-readonly", "redis-masterdown", "redis-auth")
_TLS_ALERT: Final = b"\x15\x03"


class RedisError(Exception):
    """Redis could not be asked; `reason` is one word for headers and metrics."""

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(said or reason)
        self.reason = reason


class RefusedError(RedisError):
    """Redis answered with an error; the message is its own."""

    def __init__(self, said: str) -> None:
        reason = _REFUSALS.get(said.split(" ", 1)[0], "redis-error")
        super().__init__("redis-auth" if " AUTH" in said and reason == "redis-error" else reason, said)

    @property
    def outdated(self) -> bool:
        """Whether only another connection can make it better."""
        return self.reason in _OUTDATED


def failure_of(error: Exception) -> RedisError:
    """Return what to say of a connection that failed."""
    return RedisError("redis-tls" if isinstance(error, ssl.SSLError) else "redis-down", cause_of(error))


class Connection(asyncio.Protocol):
    """One connection. It is over once a command has waited, and nothing has come, for `timeout_s`.

    `open` tells whether commands can be sent. `failed` is called once if the connection ends while a command
    waits for its answer, `answered` for each answer with the seconds that it took, `refused` for each that
    is an error.
    """

    def __init__(
        self,
        timeout_s: float,
        failed: Callable[[RedisError], None],
        answered: Callable[[float], None],
        refused: Callable[[RefusedError], None] = lambda _: None,
    ) -> None:
        self._timeout_s = timeout_s
        self._failed = failed
        self._answered = answered
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_UNFINISHED)
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._heard_s = 0.0
        self._suspected_s = 0.0
        self._transport: asyncio.Transport | None = None
        self.open = False

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """Send an encoded command; its answer comes as the future's result.

        The future raises `RefusedError` if Redis answers with an error, and another `RedisError` if the
        connection ends before it does.

        Raises:
            RedisError: the connection is over.
        """
        if self._transport is None:
            raise RedisError("redis-down", "the connection is closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((time.perf_counter(), future))
        if self._watch is None:
            self._watch_for(_SUSPICION * self._timeout_s)
        self._transport.write(command)
        return future

    def close(self, error: RedisError | None = None) -> None:
        """End the connection; who still waits is told why."""
        transport, self._transport, self.open = self._transport, None, False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if transport is not None:
            transport.abort()
        waiting, self._waiting = self._waiting, deque()
        if waiting and error is not None:
            self._failed(error)
        for _, future in waiting:
            if not future.done():
                future.set_exception(error or RedisError("redis-down", "the connection is closed"))

    def retire(self) -> None:
        """Take no more commands, and end once those that wait are answered; how it ends is told nobody."""
        self.open, self._failed = False, lambda _: None
        if not self._waiting:
            self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who still waits."""
        error = RedisError("redis-down", "Redis closed the connection") if exc is None else failure_of(exc)
        if self._waiting and not self._heard_s and error.reason == "redis-down":
            error = RedisError("redis-down", f"{error} before it answered: it may require TLS (REDIS_TLS)")
        self.close(error)

    def data_received(self, data: bytes) -> None:
        """Hand answers out, in the order of the commands."""
        self._reader.feed(data)
        self._heard_s = now_s = time.perf_counter()
        try:
            while (answer := self._reader.gets()) is not _UNFINISHED:
                asked_s, future = self._waiting.popleft()
                self._answered(now_s - asked_s)
                if future.done():
                    continue  # its caller was cancelled
                if isinstance(answer, hiredis.ReplyError):
                    error = RefusedError(str(answer))
                    future.set_exception(error)
                    self._refused(error)
                else:
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError):
            tls = data.startswith(_TLS_ALERT)
            said = "it uses TLS: switch REDIS_TLS on" if tls else "the server is not a Redis"
            self.close(RedisError("redis-tls" if tls else "redis-garbage", said))
        if not self.open and not self._waiting:
            self.close()

    def _look_at_the_oldest(self) -> None:
        """Give the connection up if the oldest command has waited too long; one timer serves them all."""
        self._watch = None
        if not self._waiting:
            return
        asked_s, now_s = self._waiting[0][0], time.perf_counter()
        since_s = max(asked_s, min(self._heard_s, asked_s + (_LONGEST - 1) * self._timeout_s))
        left_s = since_s + _SUSPICION * self._timeout_s - now_s
        if left_s > 0:
            self._watch_for(left_s)
        elif self._suspected_s != since_s:
            self._suspected_s = since_s
            self._watch_for((1 - _SUSPICION) * self._timeout_s)
        else:
            self.close(RedisError("redis-timeout", "Redis did not answer in time"))

    def _watch_for(self, seconds: float) -> None:
        self._watch = self._loop.call_later(seconds, self._look_at_the_oldest)


def encode(*parts: bytes) -> bytes:
    """Return a command as it travels (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
