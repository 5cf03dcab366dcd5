"""Logs with one JSON object a line: nginx's, Caddy's, Traefik's, Google's, Cloudflare's, or anybody's."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from traffic.logs.formats import fields
from traffic.logs.formats.entry import UNREADABLE, Entry
from traffic.logs.formats.fields import ROLES, Raw, plain
from traffic.logs.formats.times import Clock

# A log that stands in a field of another: as Docker, Fluentd, journald and Google's agent collect it.
_TEXTS: Final = ("log", "message", "msg", "textpayload", "event.original")
_NO_REQUEST: Final = "a message that is no request"
_HEX: Final = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_DEEPEST: Final = 4
_PRESETS: Final = {  # by the field of the path
    "request.uri": "Caddy's JSON log",
    "requestpath": "Traefik's JSON log",
    "httprequest.requesturl": "Google Cloud load balancing's log",
    "clientrequesturi": "Cloudflare's Logpush",
}


def loaded(line: bytes) -> dict[str, str] | None:
    """Return a line's fields as texts, nested ones by their path, `request.uri`; None: it is no object.

    Bytes that are no UTF-8 come through as surrogates, so that no two paths become one.
    """
    text = line.strip(b"\x00 \t\r")
    if not text.startswith(b"{"):
        return None
    try:
        found = _decoded(text.decode("utf-8", "surrogateescape"))
    except ValueError:
        try:  # nginx without escape=json writes \x22, which JSON does not know
            found = _decoded(_HEX.sub(_as_json, text).decode("utf-8", "surrogateescape"))
        except ValueError:
            return None
    except RecursionError:
        return None
    return dict(_flat(found, "", 0)) if isinstance(found, dict) else None


def _decoded(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _as_json(found: re.Match[bytes]) -> bytes:
    byte = int(found[1], 16)
    return b"\\u%04x" % (byte if byte < 128 else 0xDC00 + byte)


def _flat(found: Mapping[str, Any], before: str, depth: int) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            yield from _flat(value, f"{before}{name}.", depth + 1)
        elif isinstance(value, str):
            yield before + name, value


def sent(text: str) -> bytes:
    """Return the bytes that a text of JSON stands for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


class JsonLines:
    """Reads the lines of one log, whose fields have the names in `roles`."""

    def __init__(self, roles: Mapping[str, str]) -> None:
        self.roles = dict(roles)

    def __call__(self, line: bytes, clock: Clock) -> Entry | str:
        """Read one line; text says why it is no request for a resource."""
        found = loaded(line)
        if found is None:
            return UNREADABLE
        texts = {role: sent(found[name]) for role, name in self.roles.items() if name in found}
        if "time" not in texts or not (texts.get("request") or texts.get("url")):
            return _NO_REQUEST
        if "status" in self.roles and not texts.get("status"):
            texts["status"] = b"-"
        return fields.entry(Raw(**texts), clock)

    @property
    def name(self) -> str:
        """What the format is called."""
        known = _PRESETS.get(plain(self.roles.get("url", "")))
        if known is None and plain(self.roles.get("client", "")) == "remote_addr":
            return "nginx's JSON log"
        return known or "JSON lines"


def recognized(lines: Sequence[bytes], given: Mapping[str, str] | None = None) -> JsonLines | None:
    """Return how to read a log of JSON objects; None where it is none, or has no times or paths."""
    roles = fields.chosen(_names(lines), given)
    return JsonLines(roles) if fields.suffices(roles) else None


def are_objects(lines: Sequence[bytes]) -> bool:
    """Tell whether most lines are JSON objects."""
    return 2 * sum(loaded(line) is not None for line in lines) > len(lines)


def _names(lines: Sequence[bytes]) -> list[str]:
    """Return the names of the fields that are in most of the objects which look like requests."""
    objects = [set(found) for line in lines if (found := loaded(line)) is not None]
    urls = {*ROLES["url"], *ROLES["request"]}
    asking = [names for names in objects if any(plain(name) in urls for name in names)] or objects
    counts = Counter(name for names in asking for name in names)
    order = [name for names in asking for name in sorted(names)]
    return [name for name in dict.fromkeys(order) if 2 * counts[name] > len(asking)]


def text_field(lines: Sequence[bytes]) -> str | None:
    """Return the field that has the lines of another log in it, if there is one."""
    objects = [found for line in lines if (found := loaded(line)) is not None]
    for wanted in _TEXTS:
        for name in objects[0] if objects else ():
            if plain(name) == wanted and 2 * sum(name in found for found in objects) > len(objects):
                return name
    return None


def text_of(line: bytes, name: str) -> bytes | None:
    """Return the line that stands in a field of a JSON object; None where there is none."""
    found = loaded(line)
    return None if found is None or name not in found else sent(found[name]).rstrip(b"\r\n")
