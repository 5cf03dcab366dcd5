"""A cached response as one Redis string: when it was stored, its headers, its body."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_HEAD: Final = struct.Struct(">4sdI")
_MAGIC: Final = b"scb1"


class EnvelopeError(ValueError):
    """The bytes are no cached response of this app's."""


@dataclass(frozen=True)
class Envelope:
    """A response worth keeping. `generated_s` is the time (epoch) at which its age was zero."""

    generated_s: float
    headers: Mapping[str, str]
    body: bytes

    def pack(self) -> bytes:
        """Return the bytes to store."""
        headers = json.dumps(dict(self.headers)).encode()
        return _HEAD.pack(_MAGIC, self.generated_s, len(headers)) + headers + self.body

    @classmethod
    def unpack(cls, data: bytes) -> Envelope:
        """Read stored bytes.

        Raises:
            EnvelopeError: they were not stored by this app.
        """
        try:
            magic, generated_s, length = _HEAD.unpack_from(data)
            headers = json.loads(data[_HEAD.size : _HEAD.size + length])
        except (struct.error, ValueError) as error:
            raise EnvelopeError("not an envelope") from error
        if magic != _MAGIC or not isinstance(headers, dict):
            raise EnvelopeError("not an envelope")
        return cls(generated_s, headers, data[_HEAD.size + length :])

    @property
    def age_s(self) -> int:
        """Whole seconds since the response was generated (RFC 9111, section 4.2.3); never negative."""
        return max(int(time.time() - self.generated_s), 0)
