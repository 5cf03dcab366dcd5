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
_MAGIC: Final = b"scb2"


class EnvelopeError(ValueError):
    """The bytes are no cached response of this app's."""


class Envelope(NamedTuple):
    """A response worth keeping.

    `generated_s` is the time (epoch) at which its age was zero, `fresh_until_s` the time at which it expires;
    header names are in lower case.
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

    @classmethod
    def unpack(cls, data: bytes) -> Envelope:
        """Read stored bytes.

        Raises:
            EnvelopeError: they were not stored by this app.
        """
        try:
            magic, status, generated_s, fresh_until_s, length = _HEAD.unpack_from(data)
        except struct.error as error:
            raise EnvelopeError("not an envelope") from error
        end = _HEAD.size + length
        if magic != _MAGIC or end > len(data):
            raise EnvelopeError("not an envelope")
        return cls(status, generated_s, fresh_until_s, _pairs(data[_HEAD.size : end]), data[end:])

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, by its name in lower case."""
        return next((value for known, value in self.headers if known == name), None)

    def age_s(self, now_s: float) -> int:
        """Return the whole seconds since it was generated (RFC 9111, section 4.2.3); never negative."""
        return max(int(now_s - self.generated_s), 0)


@lru_cache(maxsize=4096)  # the headers of what is asked for often are taken apart once
def _pairs(headers: bytes) -> Headers:
    parts = headers.split(b"\0") if headers else []
    if len(parts) % 2:
        raise EnvelopeError("not an envelope")
    return tuple(zip(parts[::2], parts[1::2], strict=True))
