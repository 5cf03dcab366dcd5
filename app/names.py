"""The name under which a response is cached: its path below the prefix, and its query."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import quote

PREFIX: Final = "/content/"
_REMEMBERED: Final = 512  # characters of a path: longer ones are looked through each time they come
_SAFE: Final = "!$&'()*+,;=:@-._~/"


class PathError(ValueError):
    """A path that would leave the upstream, or is none."""


def name_of(path: str, query: bytes) -> bytes:
    """Return the name of a request: its decoded path, prefix and all, and its query as it came.

    Raises:
        PathError: the path would leave the upstream.
    """
    name = confined(path[len(PREFIX) :])
    return name + b"?" + spelled(query) if query else name


def confined(path: str) -> bytes:
    """Return a decoded path, spelled so that it stays below the upstream's URL.

    Raises:
        PathError: it has `.` or `..` segments, a backslash, control characters, or was not UTF-8.
    """
    return _known(path) if len(path) <= _REMEMBERED else _confined(path)


def _confined(path: str) -> bytes:
    if any(segment in (".", "..") for segment in path.split("/")):
        raise PathError("a path has no . or .. segments")
    if any(character == "\\" or ord(character) < 0x20 or ord(character) == 0x7F for character in path):
        raise PathError("a path has no backslash and no control characters")
    if "\ufffd" in path:
        raise PathError("a path is encoded in UTF-8")
    # Quoting encodes every % anew: what was encoded twice reaches the upstream encoded twice.
    return quote(path, safe=_SAFE).encode()


_known = lru_cache(maxsize=16_384)(_confined)


def spelled(query: bytes) -> bytes:
    """Return a query as it goes to the upstream: encoded where it has to be, otherwise as it came."""
    return quote(query, safe=_SAFE + "?%").encode()
