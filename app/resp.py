"""A Redis client for one purpose: pipelined commands on one connection, each answered within a bounded time.

Commands are written as they come and answered in order, so that all requests of the service share one
connection without waiting for one another. A caller that is cancelled leaves its place in the line: its
answer is read and dropped, and no other caller's answer is shifted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, cast

import hiredis

_UNFINISHED: Final = object()


class RefusedError(Exception):
    """Redis answered with an error; the message is its own."""


class GarbageError(ConnectionError):
    """What answers does not speak Redis's protocol."""


class Connection(asyncio.Protocol):
    """One connection. It is over once a command waits for longer than `timeout_s`.

    `open` tells whether commands can be sent.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_UNFINISHED)
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.open = False

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """Send an encoded command; its answer comes as the future's result.

        The future raises `RefusedError` if Redis answers with an error, and a `ConnectionError` or a
        `TimeoutError` if the connection ends before it does.

        Raises:
            ConnectionError: the connection is over.
        """
        if self._transport is None:
            raise ConnectionResetError("the connection is closed")
        loop = self._loop
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((loop.time() + self._timeout_s, future))
        if self._watch is None:
            self._watch = loop.call_later(self._timeout_s, self._look_at_the_oldest)
        self._transport.write(command)
        return future

    def close(self, reason: Exception | None = None) -> None:
        """End the connection; who still waits is told the reason."""
        transport, self._transport, self.open = self._transport, None, False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if transport is not None:
            transport.abort()
        waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            if not future.done():
                future.set_exception(reason or ConnectionResetError("the connection is closed"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who still waits."""
        self.close(ConnectionResetError("Redis closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Hand answers out, in the order of the commands."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not _UNFINISHED:
                _, future = self._waiting.popleft()
                if future.done():
                    continue  # its caller was cancelled
                if isinstance(answer, hiredis.ReplyError):
                    future.set_exception(RefusedError(str(answer)))
                else:
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError):
            self.close(GarbageError("what answers is no Redis"))

    def _look_at_the_oldest(self) -> None:
        """Give the connection up if the oldest command has waited too long; one timer serves them all."""
        self._watch = None
        if not self._waiting:
            return
        left_s = self._waiting[0][0] - self._loop.time()
        if left_s <= 0:
            self.close(TimeoutError("Redis did not answer in time"))
        else:
            self._watch = self._loop.call_later(left_s, self._look_at_the_oldest)


def encode(*parts: bytes) -> bytes:
    """Return a command as it travels (https://redis.io/docs/latest/develop/reference/protocol-spec/)."""
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def encode_get(key: bytes) -> bytes:
    """Return a GET as it travels."""
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)
