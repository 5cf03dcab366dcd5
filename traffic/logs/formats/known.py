"""The formats of access logs that are known: how each is recognized, and how its lines are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from traffic.logs.errors import LogError
from traffic.logs.formats import clf
from traffic.logs.formats.entry import Parse, shown

_LOOKED_AT: Final = 50


@dataclass(frozen=True)
class Format:
    """A format: its name, what its lines look like, and how one is read; `why` says why it is not."""

    name: str
    pattern: re.Pattern[bytes]
    parse: Parse | None = None
    why: str = "this format is not read yet"


COMBINED: Final = Format("Combined Log Format", re.compile(rb'.*" \d{3} \S+ "[^"]*" "'), clf.parse)
COMMON: Final = Format("Common Log Format", re.compile(rb'.*\[[^\]]+\].* "[A-Za-z]+ .*" \d{3}'), clf.parse)
W3C: Final = Format("W3C extended log format", re.compile(rb"#(?:Version|Software|Date|Fields): "))
# The first that most lines look like is taken; Common Log Format's looser relatives come last.
FORMATS: Final = (
    Format("JSON lines", re.compile(rb"\s*\{.*\}\s*$")),
    W3C,
    Format(
        "uvicorn's access log",
        re.compile(rb'INFO:?\s+\S+:\d+ - "[A-Z]+ .*" \d{3}'),
        why="its lines have no times. Have uvicorn write them: with --log-config, and in it the formatter "
        "`access` with format '%(client_addr)s - - [%(asctime)s] \"%(request_line)s\" %(status_code)s' and "
        "datefmt '%d/%b/%Y:%H:%M:%S %z'",
    ),
    Format(
        "Amazon S3 server access log", re.compile(rb"\S+ \S+ \[[^\]]+\] \S+ \S+ \S+ [A-Z]+\.[A-Z]+\.\S+ ")
    ),
    Format(
        "ALB access log", re.compile(rb"(?:https?|h2|grpcs?|wss?) \d{4}-\d\d-\d\dT\S+ \S+ \S+ \S+ [\d.-]+ ")
    ),
    Format(
        "ELB access log", re.compile(rb"\d{4}-\d\d-\d\dT\S+ \S+ \S+:\d+ \S+ [\d.-]+ [\d.-]+ [\d.-]+ \d{3} ")
    ),
    Format(
        "HAProxy's HTTP log",
        re.compile(rb".*haproxy\[\d+\]: |.*\] \S+ \S+/\S+ [\d+/-]+ \d{3} \d+ \S+ \S+ ----"),
    ),
    Format(
        "Envoy's access log",
        re.compile(rb'\[\d{4}-\d\d-\d\dT[^\]]+\] "[A-Z]+ [^"]*" \d+ (?:-|[A-Z][A-Za-z,]*) [^"\s]'),
    ),
    Format("Squid's native log", re.compile(rb"\d{9,10}\.\d{3} +\d+ \S+ [A-Z_]+/\d{3} \d+ [A-Z]+ ")),
    COMBINED,
    COMMON,
)


def recognized(name: str, lines: Sequence[bytes]) -> Format:
    """Return the format of a log by its first lines.

    Raises:
        LogError: it is a format that is not read.
    """
    looked_at = [line for line in lines if line.strip(b"\x00 \t\r")][:_LOOKED_AT]
    for known in FORMATS:
        matching = sum(known.pattern.match(line.lstrip(b"\x00")) is not None for line in looked_at)
        if matching and (matching * 2 > len(looked_at) or (known is W3C and W3C.pattern.match(looked_at[0]))):
            if known.parse is None:
                raise LogError(
                    f"{name}: looks like {known.name}: {known.why}. Its first line: {shown(looked_at[0])}"
                )
            return known
    return COMBINED if any(COMBINED.pattern.match(line) for line in looked_at) else COMMON
