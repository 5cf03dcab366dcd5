"""Hits are answered where requests come in: in uvicorn's connection, before ASGI and the framework.

Served as `uvicorn app.main:app --http app.hits:Hits`. All that is no plain hit goes, byte for byte, the way
it would go without this module. What the framework's way costs a hit is in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import httptools
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.answers import LOOK, Answer, Look
from app.clients import Bounded
from app.names import PREFIX, Asked, Names, PathError
from app.service import CachingService
from app.store.envelope import lines

_BEGINNING: Final = b"GET " + PREFIX.encode()
_CONNECTION: Final = b"connection"
_REMEMBERED: Final = 512  # bytes of a target: longer ones are read each time they come


class Hits(Bounded):
    """One connection of uvicorn's, whose plain requests for what is cached never reach the application."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # uvicorn logs requests, and counts who may come, on their usual way.
        usual = self.access_log or self.limit_concurrency is not None or self.root_path
        self._service = None if usual else _ours(self.app)
        self._reading = _reading(self._service.names) if self._service else None
        self._parser: tuple[_Request, Any] | None = None  # of the last request, if it was whole
        self._asked: Asked | None = None
        self._under_way = b""  # the request whose answer is awaited
        self._later = b""  # what came after it
        self._look: Look | None = None
        self._between = True  # uvicorn's parser is at the beginning of a request
        self._used = False
        self._ending = False
        self._dated: tuple[Any, bytes] = (None, b"")

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends."""
        if self._under_way:
            self._later += data
            self.flow.pause_reading()
        elif not (data.startswith(_BEGINNING) and self._looked_up(data)):
            super().data_received(data)

    def _looked_up(self, data: bytes) -> bool:
        """Look up what a request asks for, if all of it is here and nothing is under way before it."""
        if self._service is None or not self._between or self.flow.write_paused:
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        asked = self._asked_for(data)
        if asked is None or not self._service.ask(asked[0], self._told):
            return False
        self._asked, self._under_way, self._used = asked, data, True
        return True

    def _asked_for(self, data: bytes) -> Asked | None:
        """Return what a request asks for, if it is one whole request like any other, and no more."""
        assert self._reading is not None
        watched, read, known = self._reading
        if self._parser is None:
            request = _Request(watched)
            parser = httptools.HttpRequestParser(request)
        else:
            request, parser = self._parser
            self._parser = None
            request.begun, request.complete, request.target, request.headers = 0, False, b"", ()
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
        if request.begun != 1 or not request.complete or request.odd or parser.get_http_version() != "1.1":
            return None
        self._parser = request, parser
        target, headers = request.target, request.headers
        return read(target, headers) if headers or len(target) > _REMEMBERED else known(target)

    def _told(self, looked: Look | Answer) -> None:
        data, self._under_way = self._under_way, b""
        if self.transport.is_closing():
            return
        assert self._asked is not None
        if isinstance(looked, Answer):
            if_none_match = self._asked.if_none_match
            self._send(looked if if_none_match is None else looked.unless(if_none_match))
        else:
            self._look = looked
            super().data_received(data)
            self._look = None
        if self._ending:
            super().shutdown()
        elif self._later:
            later, self._later = self._later, b""
            self.flow.resume_reading()
            self.data_received(later)

    def _send(self, answer: Answer) -> None:
        state = self.server_state
        state.total_requests += 1
        headers, dated = self._dated
        if headers is not state.default_headers:  # uvicorn's, recreated each second
            headers, dated = self._dated = state.default_headers, lines(state.default_headers)
        closing = b"connection: close\r\n\r\n" if self._ending else b"\r\n"
        status_line = STATUS_LINE[answer.status]
        self.transport.write(b"".join((status_line, dated, answer.lines(), closing, answer.body)))
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
        if not self._under_way:
            super().shutdown()

    def _idles(self) -> bool:
        return not self._under_way and super()._idles()

    def on_message_begin(self) -> None:
        """Begin a request on its usual way."""
        self._between = False
        super().on_message_begin()
        if self._look is not None and self._asked is not None:
            self.scope[LOOK] = self._asked.resource, self._look  # type: ignore[typeddict-unknown-key]

    def on_message_complete(self) -> None:
        """End a request on its usual way; its answer may be still to come."""
        self._between = True
        super().on_message_complete()


class _Request:
    """What httptools tells of a request; of its headers, those that are watched."""

    begun = 0
    complete = False
    odd = False
    target = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def __init__(self, watched: frozenset[bytes]) -> None:
        self._watched = watched

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name not in self._watched:
            return
        if name == _CONNECTION:
            self.odd = self.odd or value.lower() != b"keep-alive"
        else:
            self.headers += ((name, value),)

    def on_body(self, _: bytes) -> None:
        self.odd = True

    def on_message_complete(self) -> None:
        self.complete = True


def _ours(application: Any) -> CachingService | None:
    """Return the application if uvicorn was given ours, and nothing around it."""
    if type(application) is ProxyHeadersMiddleware:  # uvicorn's own; it changes who the client is, no answer
        application = application.app
    return application if type(application) is CachingService else None


class _Reading(NamedTuple):
    """How requests are read: the headers that matter, and what a target asks for, which is remembered."""

    watched: frozenset[bytes]
    read: Callable[..., Asked | None]
    known: Callable[[bytes], Asked | None]


@lru_cache(maxsize=16)
def _reading(names: Names) -> _Reading:
    """Return how requests for one upstream are read: the same for all connections."""
    read = partial(_read, names)
    return _Reading(names.watched | {_CONNECTION}, read, lru_cache(maxsize=16_384)(read))


def _read(names: Names, target: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Asked | None:
    """Return what a target asks for, by its parts as uvicorn's scope has them."""
    try:
        url = httptools.parse_url(target)
        path = unquote(url.path.decode("ascii"))
        return names.asked(path, url.path, url.query or b"", headers=headers)
    except (httptools.HttpParserError, UnicodeError, PathError):
        return None  # the usual way says what is wrong with it
