"""A cached response as one Redis string: its status, when it was made, how long it is fresh, headers, body.

The headers are stored as HTTP sends them, so that a hit goes from Redis to the socket as it came.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct(">4sHddI")
_HEAD_SIZE: Final = _HEAD.size
_MAGIC: Final = b"scb4"
_UNSENDABLE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Envelope(NamedTuple):
    """A response worth keeping.

    `generated_s` is the time (epoch) at which its age was zero, `fresh_until_s` the time at which it expires;
    `head` has its headers as `lines` writes them, `content-length` among them.
    """

    status: int
    generated_s: float
    fresh_until_s: float
    head: bytes
    body: bytes

    def pack(self) -> bytes:
        """Return the bytes to store."""
        packed = _HEAD.pack(_MAGIC, self.status, self.generated_s, self.fresh_until_s, len(self.head))
        return packed + self.head + self.body

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, by its name in lower case."""
        return next((value for known, value in pairs(self.head) if known == name), None)


def updated(head: bytes, by: bytes) -> bytes:
    """Return stored headers, brought up to date by those of a 304 (RFC 9111, section 3.2)."""
    newer = {name: value for name, value in pairs(by) if name != b"content-length"}
    return lines({**dict(pairs(head)), **newer}.items())


def opened(data: bytes) -> Envelope | None:
    """Read packed bytes; None if they are none of this app's."""
    try:
        magic, status, generated_s, fresh_until_s, length = _HEAD.unpack_from(data)
    except (struct.error, TypeError):  # by its type, `data` may be trusted no more than by its content
        return None
    end = _HEAD_SIZE + length
    if magic != _MAGIC or end > len(data):
        return None
    # Envelope(…) would do the same in thrice the time: named tuples are made by a function in Python.
    return tuple.__new__(Envelope, (status, generated_s, fresh_until_s, data[_HEAD_SIZE:end], data[end:]))


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as HTTP sends them, a line each; values that no line can carry are left out."""
    return b"".join(b"%b: %b\r\n" % header for header in headers if not _UNSENDABLE.search(header[1]))


def pairs(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers that `lines` wrote."""
    split = (line.partition(b": ") for line in head.split(b"\r\n") if line)
    return [(name, value) for name, _, value in split]
