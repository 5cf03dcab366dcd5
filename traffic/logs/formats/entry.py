"""What every format makes of a line: a request with its time, resource, answer and client, or a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from traffic.logs.formats.times import Clock

MOST_BYTES: Final = 1 << 40  # no answer is larger than a TiB: such a size is none
UNREADABLE: Final = "not in the log's format"
NO_STATUS: Final = "a request without a status"


class Entry(NamedTuple):
    """A line that is a request: µs since the epoch, status (0: none that HTTP has), bytes (-1: unknown).

    `host` is empty where the log has none; so is `client`, the address that asked.
    """

    at_us: int
    method: str
    host: bytes
    target: bytes
    status: int
    size: int
    client: bytes = b""


# Reads one line; text says why it is no request for a resource.
Parse = Callable[[bytes, Clock], Entry | str]


def size(text: bytes | None) -> int:
    """Return how many bytes a field names; −1 where it names none, or more than an answer can have."""
    digits = (text or b"").rstrip(b'"')
    if not digits.isdigit() or len(digits) > 13 or int(digits) > MOST_BYTES:
        return -1
    return int(digits)


def shown(line: bytes, most: int = 160) -> str:
    """Return a line of a log as it can be shown anywhere: printable, and not too long."""
    text = line.strip().decode("utf-8", "backslashreplace")
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    return text if len(text) <= most else text[: most - 1] + "…"
