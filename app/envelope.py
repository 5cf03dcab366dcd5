"""A cached response as one Redis string: its status, when it was made, how long it is fresh, headers, body.

The headers are stored as ASGI sends them, so that a hit goes from Redis to the socket as it came.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

Headers = Sequence[tuple[bytes, bytes]]

_HEAD: Final = struct.Struct(">4sHddI")
_HEAD_SIZE: Final = _HEAD.size
_MAGIC: Final = b"scb3"


class Envelope(NamedTuple):
    """A response worth keeping.

    `generated_s` is the time (epoch) at which its age was zero, `fresh_until_s` the time at which it expires;
    header names are in lower case, and `content-length` is among them.
    """

    status: int
    generated_s: float
    fresh_until_s: float
    headers: Headers
    body: bytes

    def pack(self) -> bytes:
        """Return the bytes to store."""
        headers = b"\0".join(part for header in self.headers for part in header)
        head = _HEAD.pack(_MAGIC, self.status, self.generated_s, self.fresh_until_s, len(headers))
        return head + headers + self.body

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, by its name in lower case."""
        return next((value for known, value in self.headers if known == name), None)


def opened(data: bytes) -> Envelope | None:
    """Read packed bytes; None if they are none of this app's."""
    try:
        magic, status, generated_s, fresh_until_s, length = _HEAD.unpack_from(data)
    except struct.error:
        return None
    end = _HEAD_SIZE + length
    if magic != _MAGIC or end > len(data):
        return None
    # Envelope(…) would do the same in thrice the time: named tuples are made by a function in Python.
    return tuple.__new__(
        Envelope, (status, generated_s, fresh_until_s, _pairs(data[_HEAD_SIZE:end]), data[end:])
    )


@lru_cache(maxsize=4096)  # the headers of what is asked for often are taken apart once
def _pairs(headers: bytes) -> Headers:
    parts = headers.split(b"\0") if headers else []
    return tuple(zip(parts[::2], parts[1::2], strict=False))
