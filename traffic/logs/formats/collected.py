"""What collectors put before a line: syslog, Kubernetes' runtime, Docker, `docker compose`, `kubectl`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PREFIXES: Final = {
    "syslog's prefix": (
        rb"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [^\s\[:]+(?:\[\d+\])?: ?"  # RFC 3164
        rb"|<\d{1,3}>(?:1 )?\d{4}-\d\d-\d\dT\S+ \S+ \S+ (?:\d+|-) \S+ (?:-|\[[^\]]*\]) "  # RFC 5424
        rb'|\d{4}-\d\d-\d\dT\S+ \S+ [^\s\[:"]+\[\d+\]: '  # rsyslog's own, with ISO 8601
    ),
    "Kubernetes' prefix": rb"\d{4}-\d\d-\d\dT\S+ std(?:out|err) [FP] |\[pod/[^\]]+\] ",
    "Docker's prefix": rb"\d{4}-\d\d-\d\dT\S+ |\S+ +\| ",
}
KUBERNETES: Final = "Kubernetes' prefix"
# What the runtime puts before whole lines, to be taken off a block of them at once.
CRI: Final = re.compile(rb"^\d{4}-\d\d-\d\dT\S+ std(?:out|err) F ", re.MULTILINE)
_COMPILED: Final = {name: re.compile(pattern) for name, pattern in _PREFIXES.items()}
_ANY: Final = re.compile(b"|".join(b"(?:%b)" % pattern for pattern in _PREFIXES.values()))


def strip(line: bytes) -> bytes:
    """Return a line, or its beginning, without what a collector has put before it."""
    line = line.lstrip(b'"\x00 \t')
    found = _ANY.match(line)
    return line[found.end() :] if found else line


def named(lines: Sequence[bytes]) -> str | None:
    """Return whose prefix most lines have."""
    for name, pattern in _COMPILED.items():
        if 2 * sum(pattern.match(line) is not None for line in lines) > len(lines):
            return name
    return None
