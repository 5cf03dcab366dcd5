"""Opens connections to Redis, in a bounded time: each looks up the name again and logs in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import aiohappyeyeballs

from app.settings import Settings
from app.store.resp import Connection, RedisError, RefusedError, encode, failure_of
from app.store.tls import context_of

TIMEOUT_S: Final = 0.1
# A name may have addresses where nobody answers: the next is tried meanwhile, and what answers first is used.
_NEXT_ADDRESS_S: Final = 0.02


class Dialer:
    """Opens connections that tell `failed`, `answered` and `refused` as `Connection` does.

    Raises:
        ConfigurationError: what TLS needs cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        failed: Callable[[RedisError], None],
        answered: Callable[[float], None],
        refused: Callable[[RefusedError], None],
    ) -> None:
        self._settings = settings
        self._told = failed, answered, refused
        self._tls = context_of(settings)

    async def connect(self) -> Connection:
        """Open a connection and log in.

        Raises:
            RedisError: that could not be done in time.
        """
        stage = "it could not be reached"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reached = await self._reached()
                stage = (
                    "it did not answer the TLS handshake (does it use TLS?)"
                    if self._tls
                    else "it did not answer"
                )
                connection = await self._opened(reached)
                try:
                    await self._log_in(connection)
                except BaseException:
                    connection.close()
                    raise
                return connection
        except TimeoutError as error:
            raise RedisError("redis-timeout", f"{stage} within {TIMEOUT_S:g} s") from error
        except (OSError, UnicodeError, OverflowError) as error:
            raise failure_of(error) from error

    async def _reached(self) -> socket.socket | None:
        """Return a connected socket; None for a Unix socket, which the caller opens."""
        settings, loop = self._settings, asyncio.get_running_loop()
        if settings.redis_socket:
            return None
        found = await loop.getaddrinfo(
            settings.redis_host or "localhost", settings.redis_port, type=socket.SOCK_STREAM
        )
        reached = await aiohappyeyeballs.start_connection(
            found, happy_eyeballs_delay=_NEXT_ADDRESS_S, interleave=1, loop=loop
        )
        reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reached

    async def _opened(self, reached: socket.socket | None) -> Connection:
        settings, loop = self._settings, asyncio.get_running_loop()

        def protocol() -> Connection:
            return Connection(TIMEOUT_S, *self._told)

        if reached is None:
            _, connection = await loop.create_unix_connection(protocol, settings.redis_socket)
            return connection
        try:
            _, connection = await loop.create_connection(
                protocol,
                sock=reached,
                ssl=self._tls,
                server_hostname=settings.redis_host if self._tls else None,
            )
        except BaseException:
            reached.close()
            raise
        return connection

    async def _log_in(self, connection: Connection) -> None:
        if self._settings.redis_password:
            user = [self._settings.redis_user.encode()] if self._settings.redis_user else []
            await connection.ask(encode(b"AUTH", *user, self._settings.redis_password.encode()))
