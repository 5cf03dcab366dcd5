"""A cached response as one Redis string, and the only place that says whether such a string can be believed.

The headers are stored as HTTP sends them, so that a hit goes from Redis to the socket as it came.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

MAGIC: Final = b"scb5"
ASKED_AT: Final = 6  # the offset of `asked_s`, for the script that compares two (app/store/values.py)
_HEAD: Final = struct.Struct(">4sHdddIII")
_HEAD_SIZE: Final = _HEAD.size
_STORED: Final = frozenset((200, 404, 410))
_EARLIEST_S: Final = -(2.0**31)  # an `Age` may be as large (RFC 9111, section 1.2.2)
_LATEST_S: Final = 253_402_300_800.0  # the year 10000
_CR: Final = 13
_UNSENDABLE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


Fields = tuple[int, float, float, float, bytes, bytes, bytes]
FRESH_UNTIL_S: Final = 3  # its place among them


class Envelope(NamedTuple):
    """A response worth keeping. Times are of the epoch.

    `asked_s` is when the call for it began; at `generated_s` its age was zero, at `fresh_until_s` it expires.
    `head` has its headers as `lines` writes them, without its length. `source` is the target that it came
    from, where that is not the one that was asked for: its ETag means something there alone.
    """

    status: int
    asked_s: float
    generated_s: float
    fresh_until_s: float
    head: bytes
    body: bytes
    source: bytes = b""

    def pack(self) -> bytes:
        """Return the bytes to store."""
        status, asked_s, generated_s, fresh_until_s, head, body, source = self
        sizes = len(source), len(head), len(body)
        return _HEAD.pack(MAGIC, status, asked_s, generated_s, fresh_until_s, *sizes) + source + head + body

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, by its name in lower case."""
        return next((value for known, value in pairs(self.head) if known == name), None)


def tombstone(asked_s: float) -> bytes:
    """Return what is stored in place of a response that has gone, so that no older one takes its place."""
    return Envelope(0, asked_s, asked_s, asked_s, b"", b"").pack()


def updated(head: bytes, by: bytes) -> bytes:
    """Return stored headers, brought up to date by those of a 304 (RFC 9111, section 3.2)."""
    return lines({**dict(pairs(head)), **dict(pairs(by))}.items())


def opened(data: bytes) -> Envelope | None:
    """Read packed bytes; None if they are not what this app stores, whole and with nothing after it."""
    found = fields(data)
    return None if found is None else Envelope._make(found)


def fields(data: bytes) -> Fields | None:
    """Return the fields of an envelope as `opened` does, in half the time."""
    try:
        found = _HEAD.unpack_from(data)
    except (struct.error, TypeError):  # by its type, `data` may be trusted no more than by its content
        return None
    magic, status, asked_s, generated_s, fresh_until_s, source_size, head_size, body_size = found
    head_at = _HEAD_SIZE + source_size
    body_at = head_at + head_size
    if magic != MAGIC or status not in _STORED or body_at + body_size != len(data):
        return None
    # A number that is none compares as false.
    if not (_EARLIEST_S <= generated_s <= fresh_until_s < _LATEST_S and 0.0 <= asked_s < _LATEST_S):
        return None
    head = data[head_at:body_at]
    # `find` takes half as long as `in`.
    if head and (head[-2:] != b"\r\n" or head[0] == _CR or head.find(b"\r\n\r\n") >= 0):
        return None
    source = data[_HEAD_SIZE:head_at] if source_size else b""
    return status, asked_s, generated_s, fresh_until_s, head, data[body_at:], source


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as HTTP sends them, a line each; values that no line can carry are left out."""
    return b"".join(b"%b: %b\r\n" % header for header in headers if not _UNSENDABLE.search(header[1]))


def pairs(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers that `lines` wrote."""
    split = (line.partition(b": ") for line in head.split(b"\r\n") if line)
    return [(name, value) for name, _, value in split]
