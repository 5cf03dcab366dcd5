"""How our app spells a request's path towards the upstream: paths of one spelling are one resource to it.

This repeats the app's rule, since nothing here imports the app; tests/traffic/test_spelling.py compares the
two. Standard library alone: the stub upstream runs where nothing else is installed.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final
from urllib.parse import quote, unquote_to_bytes

_SAFE: Final = "!$&'()*+,;=:@-._~/"
_PLAIN: Final = re.compile(rb"/[A-Za-z0-9_~!$&'()*+,;=:@/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?%-]+)?")
_TRIPLE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_LONE_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\\]")


def is_plain(path: bytes) -> bool:
    """Tell whether a path with its query is spelled as it is, and refused by nobody."""
    return _PLAIN.fullmatch(path) is not None


def spelled(path: bytes) -> bytes:
    """Return a path with its query as our app asks the upstream for it; a server cuts a fragment off."""
    if _PLAIN.fullmatch(path):
        return path
    name, _, query = path.partition(b"#")[0].partition(b"?")
    target = quote(_LONE_PERCENT.sub(b"%25", name), safe=_SAFE + "%")
    return (f"{target}?{quote(query, safe=_SAFE + '?%')}" if query else target).encode()


def normal(path: bytes) -> bytes:
    """Return what a spelling and all that RFC 3986 (section 6.2.2) calls equal to it have in common."""
    return _TRIPLE.sub(_one_way, spelled(path))


def _one_way(found: re.Match[bytes]) -> bytes:
    byte = int(found[1], 16)
    return bytes((byte,)) if byte in _UNRESERVED else b"%%%02X" % byte


def refused(path: bytes) -> str | None:
    """Say why our app refuses a path with its query (400); None where it does not."""
    if _PLAIN.fullmatch(path):
        return None
    name = unquote_to_bytes(path.partition(b"#")[0].partition(b"?")[0])
    try:
        decoded = name.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    if any(segment in (".", "..") for segment in decoded.split("/")):
        return "has . or .. segments"
    return "has a backslash or control characters" if _CONTROL.search(decoded) else None


def mark(path: bytes) -> int:
    """Return 64 bits that stand for a path's spelling."""
    return int.from_bytes(blake2b(spelled(path), digest_size=8).digest(), "big")
