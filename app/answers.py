"""What a request is answered with, and how it is sent: by uvicorn's connection as lines, by ASGI as pairs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

from app.store.envelope import Envelope, lines, pairs

LOOK: Final = "app.look"  # in a request's scope: the resource that was looked up already, and what was found
_REMEMBERED: Final = 1024  # bytes of headers: longer ones are taken apart each time
_BODILESS: Final = (204, 304)  # no content, and so no length of it (RFC 9110, section 8.6)
_TAG: Final = re.compile(rb'(?:W/)?("[^"]*"|[^",\s]+)')
# What describes a body goes with a body (RFC 9110, section 15.4.5).
_OF_A_BODY: Final = (b"content-type", b"content-encoding", b"content-language", b"content-disposition")


class Look(NamedTuple):
    """What a look in the cache came to: an expired envelope; nothing; or why it could not be asked.

    `landed` is how many fetches had ended when it began.
    """

    landed: int
    found: Envelope | None = None
    reason: str | None = None


class Answer(NamedTuple):
    """A response: its status, stored headers (as lines), body, age in seconds, and `Cache-Status`."""

    status: int
    head: bytes
    body: bytes
    age_s: int = 0
    said: bytes = b""

    def lines(self) -> bytes:
        """Return all headers as HTTP sends them."""
        status, head, body, age_s, said = self
        if status in _BODILESS:
            return b"%bage: %d\r\ncache-status: %b\r\n" % (head, age_s, said)
        return b"%bcontent-length: %d\r\nage: %d\r\ncache-status: %b\r\n" % (head, len(body), age_s, said)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return all headers as ASGI sends them."""
        status, head, body, age_s, said = self
        found = [*(_known(head) if len(head) <= _REMEMBERED else pairs(head))]
        if status not in _BODILESS:
            found.append((b"content-length", b"%d" % len(body)))
        found += ((b"age", b"%d" % age_s), (b"cache-status", said))
        return found

    def unless(self, if_none_match: bytes | None) -> Answer:
        """Return the answer, or 304 if the client says that it has it (RFC 9110, section 13.1.2)."""
        if if_none_match is None or self.status != 200 or not _has(if_none_match, self.head):
            return self
        head = lines(pair for pair in pairs(self.head) if pair[0] not in _OF_A_BODY)
        return Answer(304, head, b"", self.age_s, self.said)


async def respond(
    answer: Answer, send: Callable[[dict[str, Any]], Awaitable[None]], *, with_body: bool
) -> None:
    """Send an answer by ASGI."""
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers()})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})


def _has(if_none_match: bytes, head: bytes) -> bool:
    """Tell whether a list of entity tags has the one of these headers, by the weak comparison."""
    if if_none_match.strip() == b"*":
        return True
    etag = next((value for name, value in pairs(head) if name == b"etag"), None)
    return etag is not None and etag.removeprefix(b"W/") in _TAG.findall(if_none_match)


@lru_cache(maxsize=4096)
def _known(head: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(pairs(head))
