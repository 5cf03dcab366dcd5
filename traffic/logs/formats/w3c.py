"""W3C's extended log format, whose lines have the fields that a line before them names: IIS's, CloudFront's.

(https://www.w3.org/TR/WD-logfile; CloudFront's standard logs:
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from traffic.logs.errors import LogError
from traffic.logs.formats import fields
from traffic.logs.formats.entry import UNREADABLE, Entry, shown
from traffic.logs.formats.fields import Raw
from traffic.logs.formats.times import Clock

DIRECTIVE: Final = re.compile(rb"#(?:Version|Software|Date|Start-Date|End-Date|Fields|Remark): ?(.*)")
_HEAD: Final = "a line of the log's head"
_VALUE: Final = re.compile(rb'"((?:[^"]|"")*)"|(\S+)')
_NAMES: Final = {
    "method": (b"cs-method",),
    "url": (b"cs-uri-stem", b"cs-uri"),
    "query": (b"cs-uri-query",),
    "host": (b"x-host-header", b"cs-host", b"cs(host)"),
    "status": (b"sc-status",),
    "size": (b"sc-bytes", b"bytes"),
    "client": (b"c-ip",),
}


class W3c:
    """Reads the lines of one log, by the `#Fields` that came last."""

    def __init__(self) -> None:
        self._names: list[bytes] = []
        self._date = b""

    def __call__(self, line: bytes, clock: Clock) -> Entry | str:
        """Read one line; text says why it is no request for a resource."""
        if line.startswith(b"#"):
            self.direct(line)
            return _HEAD
        if b"\t" in line:
            values = line.split(b"\t")
        else:
            values = [
                found[2] if found[1] is None else found[1].replace(b'""', b'"')
                for found in _VALUE.finditer(line)
            ]
        if not self._names or len(values) < len(self._names):
            return UNREADABLE
        by_name = dict(zip(self._names, values, strict=False))
        texts = {role: by_name[name] for role, name in self.roles.items()}
        if texts.get("query") in (b"-", None):
            texts.pop("query", None)
        if self.is_cloudfront:  # every value is encoded once more than it was sent
            texts |= {role: unquote_to_bytes(texts[role]) for role in ("url", "query") if role in texts}
        time = b"%b %bZ" % (by_name.get(b"date", self._date), by_name.get(b"time", b""))
        return fields.entry(Raw(time, **texts), clock)

    def direct(self, line: bytes) -> None:
        """Take what a line beginning with `#` says of those that follow."""
        found = DIRECTIVE.match(line)
        if found is None:
            return
        if line.startswith(b"#Fields"):
            self._names = found[1].lower().split()
            self.roles = {
                role: next(name for name in names if name in self._names)
                for role, names in _NAMES.items()
                if any(name in self._names for name in names)
            }
        elif line.startswith((b"#Date", b"#Start-Date")):
            self._date = found[1].split(b" ")[0]

    @property
    def is_cloudfront(self) -> bool:
        """Tell Amazon's log from others by a field that only it has."""
        return b"x-edge-location" in self._names

    @property
    def missing(self) -> list[str]:
        """What is needed to know when what was asked for, and not there."""
        wanted = {b"time": "time", b"cs-uri-stem": "cs-uri-stem"}
        has = {*self._names, *((b"cs-uri-stem",) if b"cs-uri" in self._names else ())}
        return [name for key, name in wanted.items() if key not in has]


def recognized(name: str, lines: Sequence[bytes]) -> W3c | None:
    """Return how to read a log that begins with a line such as `#Fields: date time …`.

    Raises:
        LogError: its fields do not say when what was asked for.
    """
    if not lines or not DIRECTIVE.match(lines[0].lstrip(b"\x00")):
        return None
    reader = W3c()
    for line in lines:
        if line.startswith(b"#Fields"):
            reader.direct(line)
            break
    if reader.missing:
        raise LogError(
            f"{name}: looks like W3C extended log format, and its #Fields line does not name "
            f"{' and '.join(reader.missing)}; have the server write them. Its first line: {shown(lines[0])}"
        )
    return W3c()
