r"""Logs in a format that the user describes: nginx's `log_format` string, or Apache's `LogFormat` string.

Each variable becomes a pattern that takes what the server can write for it, and never gives any of it back
to the next one, so that no line takes long.

(https://nginx.org/en/docs/http/ngx_http_log_module.html,
https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from traffic.logs.errors import LogError
from traffic.logs.formats import fields, json_lines
from traffic.logs.formats.entry import UNREADABLE, Entry
from traffic.logs.formats.fields import Raw
from traffic.logs.formats.request_line import unescaped
from traffic.logs.formats.times import Clock

_NGINX: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_APACHE: Final = re.compile(r"%(?:[<>]|!?\d{3}(?:,\d{3})*)*(?:\{([^}]*)\})?[<>]?(\^t[io]|[A-Za-z%])")
_DIRECTIVE: Final = re.compile(r"\s*log_format\s+\S+\s+(?:escape=(\w+)\s+)?(.*?);?\s*", re.DOTALL)
_APACHE_LINE: Final = re.compile(r'\s*(?:LogFormat|CustomLog\s+\S+)\s+"(.*)"(?:\s+\S+)*\s*', re.DOTALL)
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_NGINX_ROLES: Final = {
    "time_local": "time", "time_iso8601": "time", "msec": "time",
    "request": "request", "request_method": "method", "request_uri": "url", "uri": "url",
    "document_uri": "url", "args": "query", "query_string": "query",
    "host": "host", "http_host": "host", "server_name": "host",
    "status": "status", "body_bytes_sent": "size", "bytes_sent": "size", "upstream_response_length": "size",
    "remote_addr": "client", "http_x_forwarded_for": "client", "realip_remote_addr": "client",
}  # fmt: skip
_APACHE_ROLES: Final = {
    "t": "time", "r": "request", "m": "method", "U": "url", "q": "query", "v": "host", "V": "host",
    "s": "status", "b": "size", "B": "size", "O": "size", "h": "client", "a": "client",
}  # fmt: skip
# Of several variables with one role, the one that says most.
_BEST: Final = {
    "time": ("msec", "time_iso8601"),
    "url": ("request_uri",),
    "size": ("body_bytes_sent", "b", "B"),
    "host": ("http_host", "host"),
    "client": ("remote_addr", "h", "a"),
}
_TIME: Final = (
    rb"\d+/[^/\s]+/\d+:\d+:\d+:\d+(?:[.,]\d+)?(?: [+-]\d{4})?"
    rb"|\d{4}-\d\d-\d\d[T ][0-9:.,]+(?:Z| ?[+-]\d\d:?\d\d)?|\d{9,19}(?:[.,]\d+)?"
)
_IN_QUOTES: Final = rb'(?:[^"\\]|\\.)*+'
# `10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80`: what nginx writes for several upstreams.
_WORD: Final = rb"[^\s,:]*+(?:[,:] ?[^\s,:]++)*+"
_UNTIL: Final = rb"[^%b\s]*+"


class Template:
    """Reads lines that a format string describes."""

    def __init__(self, pattern: re.Pattern[bytes], undo: Callable[[bytes], bytes], name: str) -> None:
        self.pattern, self._undo, self.name = pattern, undo, name

    def __call__(self, line: bytes, clock: Clock) -> Entry | str:
        """Read one line; text says why it is no request for a resource."""
        found = self.pattern.fullmatch(line)
        if found is None:
            return UNREADABLE
        texts = {role: self._undo(text) for role, text in found.groupdict().items()}
        if "request" in texts:
            texts["request"] = texts["request"] or b"-"
        if "query" in texts:
            texts["query"] = texts["query"].removeprefix(b"?")
        if "status" in texts:
            texts["status"] = texts["status"] or b"-"
        texts["time"] = texts["time"].strip(b"[]")
        return fields.entry(Raw(**texts), clock)


def compiled(text: str) -> Template:
    """Return how to read lines that a format string describes.

    Raises:
        LogError: it does not say when what was asked for.
    """
    escape, pieces, name = _pieces(text)
    chosen = _chosen(pieces)
    roles = {role for role in chosen if role}
    if "time" not in roles or not {"request", "url"} & roles:
        what = "time" if "time" not in roles else "request"
        wanted = (
            "$time_local, $time_iso8601 or $msec, in Apache's %t"
            if what == "time"
            else "$request or $request_uri, in Apache's %r or %U"
        )
        raise LogError(f"--log-format {text!r}: has no {what}; it needs {wanted}")
    undo = _from_json if escape == "json" else _as_it_is if escape == "none" else unescaped
    return Template(re.compile(b"".join(_patterns(pieces, chosen)), re.DOTALL), undo, name)


def _pieces(text: str) -> tuple[str, list[tuple[str, str]], str]:
    """Return the escaping, literals and variables in their order, and what the format is called."""
    escape = ""
    if found := _DIRECTIVE.fullmatch(text):
        escape = found[1] or ""
        text = "".join(one or other or "" for one, other in _QUOTED.findall(found[2])) or found[2]
    elif found := _APACHE_LINE.fullmatch(text):
        text = found[1]
    text = text.replace(r"\"", '"').replace(r"\'", "'").replace(r"\t", "\t").rstrip("\r\n")
    if _NGINX.search(text):
        if text.lstrip().startswith("{") and not escape:
            escape = "json"
        names = [(found.start(), found.end(), found[1] or found[2]) for found in _NGINX.finditer(text)]
        return escape, list(_cut(text, names)), "the nginx log_format that was given"
    found_all = list(_APACHE.finditer(text))
    if not found_all:
        raise LogError(
            f"--log-format {text!r}: has neither nginx's variables ($request) nor Apache's (%r); give the "
            "string of log_format or LogFormat, or the names of fields: 'time=when, path=where'"
        )
    names = [(found.start(), found.end(), _apache_name(found)) for found in found_all]
    return escape, list(_cut(text, names)), "the Apache LogFormat that was given"


def _apache_name(found: re.Match[str]) -> str:
    """Return a directive's name; of a header, `host` alone means something."""
    argument, letter = found[1], found[2]
    if letter == "i":
        return {"host": "http_host", "x-forwarded-for": "http_x_forwarded_for"}.get(
            (argument or "").lower(), "i"
        )
    if letter == "t" and argument:
        kind = argument.removeprefix("begin:").removeprefix("end:")
        return "msec" if kind in ("sec", "msec", "usec") else "t:" + kind
    return letter


def _cut(text: str, names: list[tuple[int, int, str]]) -> Iterator[tuple[str, str]]:
    at = 0
    for begin, end, name in names:
        if begin > at:
            yield "literal", text[at:begin]
        yield ("literal", "%") if name == "%" else ("variable", name)
        at = end
    if at < len(text):
        yield "literal", text[at:]


def _chosen(pieces: list[tuple[str, str]]) -> list[str]:
    """Return the role of each piece, empty where it has none, or another has it already."""
    roles = [_role(name) if kind == "variable" else "" for kind, name in pieces]
    for role in {*roles} - {""}:
        places = [at for at, found in enumerate(roles) if found == role]
        best = min(places, key=lambda at: _rank(role, pieces[at][1]))
        for at in places:
            roles[at] = role if at == best else ""
    return roles


def _rank(role: str, name: str) -> int:
    order = _BEST.get(role, ())
    return order.index(name) if name in order else len(order)


def _role(name: str) -> str:
    if name.startswith("t:"):
        return "time"
    return _NGINX_ROLES.get(name) or _APACHE_ROLES.get(name, "")


def _patterns(pieces: list[tuple[str, str]], chosen: list[str]) -> Iterator[bytes]:
    before = b""
    for place, (kind, text) in enumerate(pieces):
        if kind == "literal":
            before = text.encode()
            yield re.escape(before)
            continue
        after = pieces[place + 1][1].encode() if place + 1 < len(pieces) else b""
        inner = _pattern(text, chosen[place], before, after if place + 1 < len(pieces) else None)
        yield b"(?P<%b>%b)" % (chosen[place].encode(), inner) if chosen[place] else b"(?:%b)" % inner
        before = b""


def _pattern(name: str, role: str, before: bytes, after: bytes | None) -> bytes:
    """Return what a variable can be, by what stands around it; `after` is None at the end of the line."""
    if name == "t":
        return rb"\[[^\]]*+\]"
    if before.endswith(b'"') and (after or b"").startswith(b'"'):
        return _IN_QUOTES
    if before.endswith(b"[") and (after or b"").startswith(b"]"):
        return rb"[^\]]*+"
    if role == "time":
        return _TIME
    if role == "request":
        return rb"\S*+ .*? HTTP/\d(?:\.\d)?|-"  # without quotes: ends with its protocol
    if after is None:
        return b".*"
    if after[:1].isspace() or not after:
        return _WORD if name.startswith("upstream_") else rb"\S*+"
    return _UNTIL % re.escape(after[:1])


def _as_it_is(text: bytes) -> bytes:
    return text


def _from_json(text: bytes) -> bytes:
    """Undo nginx's `escape=json`."""
    found = json_lines.loaded(b'{"x":"%b"}' % text)
    return text if found is None else json_lines.sent(found["x"])
