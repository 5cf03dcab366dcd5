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


def apache(text: bytes) -> bytes:
    """Escape as Apache's `ap_escape_logitem` does."""
    letters = {b"\b": rb"\b", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t", b"\v": rb"\v", b"\f": rb"\f",
               b'"': rb"\"", b"\\": rb"\\"}  # fmt: skip
    signs = [bytes((byte,)) for byte in text]
    return b"".join(
        letters.get(sign) or (sign if 32 <= sign[0] < 127 else b"\\x%02x" % sign[0]) for sign in signs
    )


def nginx(text: bytes) -> bytes:
    """Escape as nginx's `ngx_http_log_escape` does."""
    return b"".join(
        b"\\x%02X" % byte if byte < 32 or byte > 126 or byte in b'"\\' else bytes((byte,)) for byte in text
    )


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text
