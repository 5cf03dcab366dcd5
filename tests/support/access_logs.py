"""Lines of access logs, as servers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

BEGAN = datetime(2025, 3, 14, 9, tzinfo=UTC)
BEGAN_US = int(BEGAN.timestamp()) * 1_000_000
AGENT = b'"-" "client/1.0"'


def line(
    target: bytes | str = b"/a",
    at_s: int = 0,
    *,
    status: int | str = 200,
    size: int | str = 1000,
    method: str = "GET",
    protocol: str = " HTTP/1.1",
    before: bytes | str = b"192.0.2.10 - -",
) -> bytes:
    """Return a line in Combined Log Format, without its end; `at_s` counts from 14 March 2025, 09:00 UTC."""
    at = datetime.fromtimestamp(BEGAN.timestamp() + at_s, UTC)
    return b'%b [%b] "%b %b%b" %b %b %b' % (
        _bytes(before),
        f"{at:%d/%b/%Y:%H:%M:%S} +0000".encode(),
        method.encode(),
        _bytes(target),
        protocol.encode(),
        str(status).encode(),
        str(size).encode(),
        AGENT,
    )


def written(path: Path, *lines: bytes) -> Path:
    """Write lines into a file; a folder gets `access.log`."""
    path = path / "access.log" if path.is_dir() else path
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    return path


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text
