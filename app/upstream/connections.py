"""Connections to the upstream, used again only while nothing speaks against it.

aiohttp takes a connection out of its pool as it is (https://github.com/aio-libs/aiohttp/issues/13656). What
an upstream sends unasked (a late 408, a second response) would answer the next request, and each answer after
it the request before. aiohttp also takes a body that lasts until the connection closes for whole if the
connection is reset. Both are checked here, in the protocol that aiohttp makes for each connection. `_factory`
is not documented: tests/app/upstream/test_connections.py fails if aiohttp no longer uses it.
"""

from __future__ import annotations

import functools
import select
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import StreamReader


class Connector(aiohttp.TCPConnector):
    """aiohttp's pool, of connections that are looked at before they are used again."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._factory: functools.partial[Any] = functools.partial(_Connection, loop=self._loop)


class _Connection(ResponseHandler):
    """One connection. `_body` is that of the answer to the last request, once its head is here."""

    _asked = False
    _body: StreamReader | None = None

    def is_connected(self) -> bool:
        """Tell whether the connection can be used; asked before a request is sent."""
        return super().is_connected() and not self.should_close and not self._readable()

    def set_response_params(self, **named: Any) -> None:
        """Begin to wait for an answer."""
        self._asked, self._body = True, None
        super().set_response_params(**named)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take in a head, and the body that belongs to it."""
        message, body = data
        if self._body is not None:
            self.force_close()  # a second answer to one request
        elif message.code >= 200 or message.code == 101:
            self._body = body
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; those that nobody has asked for end the connection."""
        if data and (not self._asked or (self._body is not None and self._body.is_eof())):
            self.force_close()
            self.close()
        else:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell a reset from an end."""
        if exc is not None and self._body is not None and not self._body.is_eof():
            self._body.set_exception(aiohttp.ClientPayloadError("the connection was reset"))
        super().connection_lost(exc)

    def _readable(self) -> bool:
        """Tell whether anything waits to be read, be it the connection's end."""
        assert self.transport is not None
        connection = self.transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0:
            return True
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(waiting.poll(0))
