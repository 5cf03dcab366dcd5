"""Hits are answered where requests come in: in uvicorn's connection, before ASGI and the framework.

Served as `uvicorn app.main:app --http app.hits:Hits`. All that is no plain hit goes, byte for byte, the way
it would go without this module. What the framework's way costs a hit is in docs/performance.md.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.cache import ASK, LOOK, Answer, Look
from app.envelope import lines
from app.names import PREFIX, PathError, name_of

_BEGINNING: Final = b"GET " + PREFIX.encode()
_REMEMBERED: Final = 512  # bytes of a target: longer ones are read each time they come


class Hits(HttpToolsProtocol):
    """One connection of uvicorn's, whose plain requests for what is cached never reach the application."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # uvicorn logs requests, and counts who may come, on their usual way.
        usual = self.access_log or self.limit_concurrency is not None or self.root_path
        self._ask = None if usual else self.app_state.get(ASK)
        self._asked = b""  # the request whose answer is awaited
        self._later = b""  # what came after it
        self._look: Look | None = None
        self._between = True  # uvicorn's parser is at the beginning of a request
        self._used = False
        self._ending = False
        self._dated: tuple[Any, bytes] = (None, b"")

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends."""
        if self._asked:
            self._later += data
            self.flow.pause_reading()
        elif not (data.startswith(_BEGINNING) and self._looked_up(data)):
            super().data_received(data)

    def _looked_up(self, data: bytes) -> bool:
        """Look up what a request asks for, if all of it is here and nothing is under way before it."""
        if self._ask is None or not self._between or self.flow.write_paused:
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        name = _asked_for(data)
        if name is None or not self._ask(name, self._told):
            return False
        self._asked, self._used = data, True
        return True

    def _told(self, looked: Look | Answer) -> None:
        asked, self._asked = self._asked, b""
        if self.transport.is_closing():
            return
        if isinstance(looked, Answer):
            self._send(looked)
        else:
            self._look = looked
            super().data_received(asked)
            self._look = None
        if self._ending:
            super().shutdown()
        elif self._later:
            later, self._later = self._later, b""
            self.flow.resume_reading()
            self.data_received(later)

    def _send(self, answer: Answer) -> None:
        status, head, body = answer
        state = self.server_state
        state.total_requests += 1
        headers, dated = self._dated
        if headers is not state.default_headers:  # uvicorn's, made anew each second
            headers, dated = self._dated = state.default_headers, lines(state.default_headers)
        closing = b"connection: close\r\n\r\n" if self._ending else b"\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], dated, head, closing, body)))
        if self.timeout_keep_alive_task is None:
            self._await_more()

    def _await_more(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if nobody has used it since the timer was set."""
        if self._used and not self.transport.is_closing():
            self._used = False
            self._await_more()
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """End the connection once what is under way is answered."""
        self._ending = True
        if not self._asked:
            super().shutdown()

    def on_message_begin(self) -> None:
        """Begin a request on its usual way."""
        self._between = False
        super().on_message_begin()
        if self._look is not None:
            self.scope[LOOK] = self._look  # type: ignore[typeddict-unknown-key]

    def on_message_complete(self) -> None:
        """End a request on its usual way; its answer may be still to come."""
        self._between = True
        super().on_message_complete()


class _Request:
    """What httptools tells of a request."""

    begun = 0
    complete = False
    odd = False
    target = b""

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"connection" and value.lower() != b"keep-alive":
            self.odd = True

    def on_body(self, _: bytes) -> None:
        self.odd = True

    def on_message_complete(self) -> None:
        self.complete = True


def _asked_for(data: bytes) -> bytes | None:
    """Return the name that a request asks for, if it is one whole request like any other, and no more."""
    request = _Request()
    parser = httptools.HttpRequestParser(request)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if request.begun != 1 or not request.complete or request.odd or parser.get_http_version() != "1.1":
        return None
    target = request.target
    return _known(target) if len(target) <= _REMEMBERED else _named(target)


def _named(target: bytes) -> bytes | None:
    try:
        url = httptools.parse_url(target)
        return name_of(unquote(url.path.decode("ascii")), url.query or b"")
    except (httptools.HttpParserError, UnicodeError, PathError):
        return None  # the usual way says what is wrong with it


_known = lru_cache(maxsize=16_384)(_named)
