"""Which stored value a request is for: the upstream's URL, the credential, and the headers that select.

Two requests share a key only if the upstream would answer both with the same bytes. So a path is used as it
was sent: `a%2Fb` and `a/b`, `//a` and `/a` are different resources.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlsplit

from app.settings import Settings

PREFIX: Final = "/content/"
IF_NONE_MATCH: Final = b"if-none-match"
_REMEMBERED: Final = 512  # bytes of a path and query: longer ones are read again each time
_SAFE: Final = "!$&'()*+,;=:@-._~/"
_SAFE_IN_VALUES: Final = "!$&'()*+,;=:@-._~/*\""
_ENCODED: Final = re.compile(rb"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_LONE_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile(r"%(?:2D|2E|3\d|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)
_TEXT: Final = re.compile(rb"[\t\x20-\x7e]*")
_ANY: Final = {b"accept": b"*/*", b"accept-language": b"*"}  # the same as no header at all


class PathError(ValueError):
    """A path that would leave the upstream, or is none."""


class Resource(NamedTuple):
    """What a request asks for.

    `key` is unique to it, and what it is stored under; `target` is its path and query below the upstream's
    URL; `selecting` has the request headers that select a representation, as they go to the upstream.
    """

    key: bytes
    target: str
    selecting: tuple[tuple[str, str], ...] = ()


class Asked(NamedTuple):
    """A resource, and the `If-None-Match` of the request that asks for it."""

    resource: Resource
    if_none_match: bytes | None = None


class Names:
    """Names the resources of one upstream, as one caller of it sees them."""

    def __init__(self, settings: Settings) -> None:
        self._base, self._credential = _origin(settings)
        self._vary = tuple(name.encode() for name in settings.vary)
        self.watched: Final = frozenset((IF_NONE_MATCH, *self._vary))
        self._known = lru_cache(maxsize=16_384)(self._found)

    def asked(
        self,
        path: str,
        raw_path: bytes | None,
        query: bytes,
        root_path: str = "",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> Asked | None:
        """Return what a request asks for; None if its path is not below the prefix.

        The arguments are as in an ASGI scope: the decoded path, the path as sent where the server gives it,
        and the prefix that is not the application's. Only headers in `watched` count.

        Raises:
            PathError: the path would leave the upstream.
        """
        watched = [header for header in headers if header[0] in self.watched]
        selecting = self._selecting(watched) if self._vary else ()
        short = len(path) + len(query) + sum(map(len, selecting)) <= _REMEMBERED
        find = self._known if short else self._found
        resource = find(path, raw_path, query, root_path, selecting)
        if resource is None:
            return None
        return Asked(resource, _joined(watched, IF_NONE_MATCH) if watched else None)

    def resource(self, target: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Resource:
        """Return the resource of a path and query below the prefix, spelled as in a request (`a%20b?c=d`).

        Raises:
            PathError: the path would leave the upstream.
        """
        path, _, query = target.partition("?")
        return self._resource(path.encode(), query.encode(), self._selecting(list(headers)))

    def _found(
        self, path: str, raw_path: bytes | None, query: bytes, root_path: str, selecting: tuple[bytes, ...]
    ) -> Resource | None:
        start = _route_start(path, root_path)
        if not path.startswith(PREFIX, start):
            return None
        start += len(PREFIX)
        below = _as_sent(path, raw_path, start)
        return self._resource(quote(path[start:]).encode() if below is None else below, query, selecting)

    def _resource(self, path: bytes, query: bytes, selecting: tuple[bytes, ...]) -> Resource:
        target = target_of(path, query)
        # Neither a URL nor a value that is quoted has a blank in it: what follows one cannot be a path's.
        key = b"%b/%b%b" % (self._base, target.encode(), self._credential)
        chosen = tuple(
            (name, value) for name, value in zip(self._vary, selecting, strict=True) if value
        ) if selecting else ()  # fmt: skip
        for name, value in chosen:
            key += b" %b=%b" % (name, quote_from_bytes(value, _SAFE_IN_VALUES).encode())
        return Resource(
            key, target, tuple((name.decode(), value.decode("latin-1")) for name, value in chosen)
        )

    def _selecting(self, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
        """Return the values of the headers that select, normalized; empty ones where nothing is selected."""
        return tuple(_normalized(name, _joined(headers, name) or b"") for name in self._vary)


def target_of(path: bytes, query: bytes) -> str:
    """Return a path and a query as they go to the upstream: as they came, encoded where they have to be.

    Raises:
        PathError: the path has `.` or `..` segments, however they are encoded, a backslash, control
            characters, or is not UTF-8.
    """
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise PathError("a path is encoded in UTF-8") from None
    if any(segment in (".", "..") for segment in decoded.split("/")):
        raise PathError("a path has no . or .. segments")
    if any(character == "\\" or ord(character) < 0x20 or ord(character) == 0x7F for character in decoded):
        raise PathError("a path has no backslash and no control characters")
    target = quote(_LONE_PERCENT.sub(b"%25", path), safe=_SAFE + "%")
    return f"{target}?{quote(query, safe=_SAFE + '?%')}" if query else target


def plain(path: str) -> str:
    """Return a path without the encoding of what needs none: the same by RFC 3986, section 6.2.2.2."""
    return _UNRESERVED.sub(lambda found: chr(int(found[0][1:], 16)), path)


def _origin(settings: Settings) -> tuple[bytes, bytes]:
    """Return the upstream's URL without credentials, and what stands for the credentials in a key.

    That is an HMAC of the URL with the credentials as its key: who reads a key learns nothing of them.
    """
    parts = urlsplit(settings.upstream_url)
    user, _, host = parts.netloc.rpartition("@")
    base = parts._replace(netloc=host).geturl().rstrip("/").encode()
    if not (user or settings.upstream_token):
        return base, b""
    credential = f"{user}\n{settings.upstream_token or ''}".encode()
    return base, b" credential=" + hmac.new(credential, base, hashlib.sha256).hexdigest()[:32].encode()


def _route_start(path: str, root_path: str) -> int:
    """Return where the application's own path begins, as Starlette sees it."""
    end = len(root_path)
    return end if root_path and path.startswith(root_path) and path[end : end + 1] == "/" else 0


def _as_sent(path: str, raw_path: bytes | None, start: int) -> bytes | None:
    """Return what of the path as sent stands for `path[start:]`; None where the two do not agree."""
    if raw_path is None or unquote_to_bytes(raw_path).decode("utf-8", "replace") != path:
        return None
    before = path[:start].encode("utf-8", "surrogatepass")
    at = length = 0
    while length < len(before):
        piece = _ENCODED.match(raw_path, at)
        if piece is None:
            return None
        at, length = piece.end(), length + 1
    return raw_path[at:]


def _joined(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """Return the value of a header; several lines of one are one list (RFC 9110, section 5.3)."""
    values = [value for known, value in headers if known == name]
    return b", ".join(values) if values else None


def _normalized(name: bytes, value: bytes) -> bytes:
    """Spell a list the same way however it was written: blanks, empty elements, upper and lower case.

    What is no plain text selects nothing, and does not reach the upstream.
    """
    if not _TEXT.fullmatch(value):
        return b""
    elements = [b";".join(part.strip() for part in element.split(b";")) for element in value.split(b",")]
    spelled = b",".join(element for element in elements if element)
    if name in _ANY:  # media types and languages know no case
        spelled = spelled.lower()
    return b"" if spelled == _ANY.get(name) else spelled
