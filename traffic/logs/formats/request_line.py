"""What a line of a log asks for: method, host and target, as the client sent them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LONGEST: Final = 65_536  # bytes of a target: more than any server takes
_ESCAPED: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\nrtbfv]))")
_LETTERS: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_PROTOCOL: Final = re.compile(
    rb"HTTP/\d(?:\.\d)?|1\.[01]|[23](?:\.0)?", re.IGNORECASE
)  # hypercorn leaves HTTP/ out
_METHOD: Final = re.compile(rb"[A-Za-z][A-Za-z-]{1,19}")
_ABSOLUTE: Final = re.compile(rb"(?:https?|wss?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_DEFAULT_PORT: Final = {b"http": b":80", b"ws": b":80", b"https": b":443", b"wss": b":443"}
METHODS: Final = frozenset(
    b"GET HEAD POST PUT DELETE PATCH OPTIONS TRACE CONNECT PURGE BAN QUERY SEARCH REPORT LINK UNLINK "
    b"PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK".split()
)


class Asked(NamedTuple):
    """A request as it was sent. `host`: as the target names it, else empty."""

    method: str
    host: bytes
    target: bytes


def unescaped(text: bytes) -> bytes:
    r"""Undo what Apache and nginx do to quotes, backslashes and unprintable bytes: `\"`, `\\`, `\x22`, `\t`.

    (Apache: `ap_escape_logitem`; nginx: `ngx_http_log_escape`. A backslash before anything else stays.)
    """
    return _ESCAPED.sub(_byte, text) if b"\\" in text else text


def _byte(found: re.Match[bytes]) -> bytes:
    if found[1] is not None:
        return bytes([int(found[1], 16)])
    return _LETTERS.get(found[2], found[2])


def asked(line: bytes) -> Asked | str:
    """Read a request line as it stands in a log, escaped; text says why it asks for no resource."""
    return requested(unescaped(line))


def requested(request: bytes) -> Asked | str:
    """Read a request line as it was sent; text says why it asks for no resource."""
    if request.strip() in (b"", b"-"):
        return "no request was sent"
    if request[:1] == b"\x16":
        return "a TLS handshake"
    method, _, rest = request.partition(b" ")
    if not _METHOD.fullmatch(method) or (not rest and method.upper() not in METHODS):
        return "not an HTTP request"
    target, _, protocol = rest.rstrip(b" ").rpartition(b" ")
    if not _PROTOCOL.fullmatch(protocol):
        target = rest  # HTTP/0.9 names no protocol
    return of_parts(method, target.strip(b" "))


def of_parts(method: bytes, target: bytes) -> Asked | str:
    """Take a method and a target, which may be a whole URL; text says why they ask for no resource."""
    name = method.upper()
    if name in (b"", b"-"):
        return "no request was sent"
    if name not in METHODS:
        return "a method that HTTP does not have"
    return _located(name.decode(), target)


def _located(method: str, target: bytes) -> Asked | str:
    """Tell host and target apart. Only what begins with a scheme is absolute (RFC 9112, section 3.2)."""
    host = b""
    if found := _ABSOLUTE.fullmatch(target):
        scheme = target.partition(b":")[0].lower()
        host = found[1].rpartition(b"@")[2].lower().removesuffix(_DEFAULT_PORT[scheme])
        target = found[2] if found[2].startswith(b"/") else b"/" + found[2]
    if len(target) > LONGEST:
        return f"a target longer than {LONGEST} bytes"
    if not target.startswith(b"/") and method in ("GET", "HEAD"):
        return "a target that is not a path"
    return Asked(method, host, target)
