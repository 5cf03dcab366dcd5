"""Closes idle connections after a time.

uvicorn closes those that are idle after an answer (`--timeout-keep-alive`), but not those on which no request
ever comes, or half of one, nor those whose client does not read. Served as `--http app.clients:Bounded`, or
as part of `app.hits:Hits`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_S: Final = 10.0  # from a request's first byte to its last
READING_S: Final = 60.0  # for which a client may not read, while its answer waits
_LEAST_S: Final = 1.0  # to the first byte, where connections are not kept open at all


class Bounded(HttpToolsProtocol):
    """One connection of uvicorn's, with an end."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._begun = False  # the request that is coming in is not all here
        self._due: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, no longer than for another one."""
        super().connection_made(transport)
        self._expect(max(self.timeout_keep_alive, _LEAST_S))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        _cancel(self._due)
        _cancel(self._unread)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sends: it ends uvicorn's own wait, be it part of a request or not."""
        super().data_received(data)
        if self._due is None and self._idles():
            self._expect(REQUEST_S)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._begun = True
        self._expect(min(REQUEST_S, max(self.timeout_keep_alive, _LEAST_S)))
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Take in the end of a request."""
        self._begun = False
        _cancel(self._due)
        self._due = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(READING_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        super().resume_writing()
        _cancel(self._unread)
        self._unread = None

    def _idles(self) -> bool:
        """Tell whether a request should come, and nothing else ends the wait for it."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and (self._begun or self.timeout_keep_alive_task is None)

    def _expect(self, within_s: float) -> None:
        _cancel(self._due)
        self._due = self.loop.call_later(within_s, self._give_up)

    def _give_up(self) -> None:
        self._due = None
        if self._idles() and not self.transport.is_closing():
            self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
