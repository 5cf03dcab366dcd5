"""The formats of access logs that are known: which one a log is in, by its first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from traffic.logs.errors import LogError
from traffic.logs.formats import aws, clf, collected, fields, json_lines, proxies, table, template, w3c
from traffic.logs.formats.entry import UNREADABLE, Entry, Parse, shown
from traffic.logs.formats.times import Clock

_LOOKED_AT: Final = 50
_NESTED: Final = 3
DESCRIBE: Final = (
    "describe its lines with --log-format and nginx's log_format or Apache's LogFormat string, such as "
    "'$remote_addr [$time_local] \"$request\" $status $body_bytes_sent', or name the fields of JSON lines or "
    "of a table: 'time=when, path=where'"
)

# A logging configuration with which uvicorn writes Common Log Format.
UVICORN: Final = (
    '{"version": 1, "disable_existing_loggers": false, "formatters": {"access": '
    '{"()": "uvicorn.logging.AccessFormatter", "use_colors": false, "datefmt": "%d/%b/%Y:%H:%M:%S %z", '
    r'"fmt": "%(client_addr)s - - [%(asctime)s] \"%(request_line)s\" %(status_code)s"}}, '
    '"handlers": {"access": {"class": "logging.StreamHandler", "formatter": "access", '
    '"stream": "ext://sys.stdout"}}, "loggers": '
    '{"uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": false}}}'
)


@dataclass(frozen=True)
class Format:
    """A format: its name, how one of its lines is read, and a sentence on what was detected.

    `plain`: most of its lines can be read at once (`lines.py`), once what `prefix` matches is taken off.
    """

    name: str
    parse: Parse
    note: str
    plain: bool = False
    prefix: re.Pattern[bytes] | None = None


@dataclass(frozen=True)
class _Look:
    """A format that is known by what its lines look like; `why` says why it cannot be read."""

    name: str
    pattern: re.Pattern[bytes]
    parse: Parse = clf.parse
    note: str = ""
    why: str = ""


_COMBINED: Final = re.compile(rb'.*" \d{3} \S+ "(?:[^"\\]|\\.)*" "')
_COMMON: Final = re.compile(rb'.*\[[^\]]+\].* "[A-Za-z]+ .*" \d{3}')
_CLF_NOTE: Final = "time in brackets, request in quotes, then status and bytes"
_VHOST: Final = re.compile(
    rb"[A-Za-z0-9_*][\w.*-]*(?::\d{1,5})? (?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+) "
)
# The first that most lines look like is taken; Common Log Format's looser relatives come last.
LOOKS: Final = (
    _Look(
        "uvicorn's access log",
        re.compile(rb'INFO:?\s+\S+:\d+ - "[A-Z]+ .*" \d{3}'),
        why="its lines have no times. Have uvicorn write them: save what follows as log.json, and start "
        f"uvicorn with --log-config log.json: {UVICORN}",
    ),
    _Look(
        "Amazon S3 server access log",
        re.compile(rb"\S+ \S+ \[[^\]]+\] \S+ \S+ \S+ [A-Z]+\.[A-Z]+\.\S+ "),
        aws.s3,
        "the request URI as it was sent, the host where the line has one, bytes sent",
    ),
    _Look("ALB access log", aws.ALB, aws.alb, "the load balancer's own time and status, bytes sent"),
    _Look("ELB access log", aws.ELB, aws.elb, "the load balancer's own time and status, bytes sent"),
    _Look(
        "HAProxy's HTTP log",
        re.compile(rb".*haproxy\[\d+\]: |(?:.*)\S+:\d+ \[[^\]]+\] \S+ \S+/\S+ [\d+/-]+ (?:\d{3}|-1) \+?\d+ "),
        proxies.haproxy,
        "the time that the request was accepted at, the client's address, bytes read",
    ),
    _Look(
        "Envoy's access log",
        re.compile(rb'\[\d{4}-\d\d-\d\dT[^\]]+\] "[A-Z]+ [^"]*" \d+ (?:-|[A-Z][A-Za-z,]*) [^"\s]'),
        proxies.envoy,
        "Envoy's or Istio's default, with the authority as host and X-Forwarded-For as client",
    ),
    _Look(
        "Squid's native log",
        re.compile(rb"\d{9,10}\.\d{3} +-?\d+ \S+ [A-Z_]+/\d{3} \d+ \S+ "),
        proxies.squid,
        "the time that the request ended at, whole URLs",
    ),
    _Look(
        "ingress-nginx's access log",
        re.compile(rb'.*" \d{3} \d+ "[^"]*" "[^"]*" \d+ [\d.]+ \[[^\]]*\] \[[^\]]*\] '),
        note=_CLF_NOTE,
    ),
    _Look(
        "Traefik's access log",
        re.compile(rb'.*" \d{3} \S+ "[^"]*" "[^"]*" \d+ "[^"]*" "[^"]*" [\d.]+ms'),
        note=_CLF_NOTE,
    ),
    _Look(
        "Combined Log Format with whole URLs (varnishncsa)",
        re.compile(rb'.*\] "[A-Z]+ https?://[^"]*" \d{3} \S+ "[^"]*" "'),
        note=_CLF_NOTE + "; the host of each URL is part of its key",
    ),
    _Look("Combined Log Format", _COMBINED, note=_CLF_NOTE),
    _Look("Common Log Format", _COMMON, note=_CLF_NOTE),
)


def recognized(name: str, lines: Sequence[bytes], log_format: str | None = None) -> Format:
    """Return the format of a log by its first lines, or by what the user says of it.

    Raises:
        LogError: it is a format that cannot be read, or what is said of it does not fit.
    """
    looked_at = [line.rstrip(b"\r").lstrip(b"\x00") for line in lines if line.strip(b"\x00 \t\r")][
        :_LOOKED_AT
    ]
    if log_format is not None:
        return _described(name, looked_at, log_format)
    found = _detected(name, looked_at, 0)
    if found is not None:
        return found
    if json_lines.are_objects(looked_at):
        raise LogError(
            f"{name}: its JSON lines have no field that is known to be a time and a path; name them, such as "
            f"--log-format 'time=when, path=where'. Its first line: {shown(looked_at[0])}"
        )
    if looked_at and looked_at[0].strip() in (b"[", b"[{"):
        raise LogError(f"{name}: is a JSON array: write one object per line, with jq -c '.[]'")
    loose = any(_COMBINED.match(line) for line in looked_at)
    look = LOOKS[-2] if loose else LOOKS[-1]
    return _clf(look, looked_at)


def _detected(name: str, lines: Sequence[bytes], depth: int) -> Format | None:
    """Return the format that most lines are in, behind whatever collectors have put around them."""
    found = _certain(name, lines, depth)
    prefix = collected.named(lines) if depth < _NESTED else None
    bare = [collected.strip(line) for line in lines]
    if found is None and prefix is not None and (inner := _certain(name, bare, depth + 1)) is not None:
        return _behind(prefix, inner)
    if found is None:
        look = next((look for look in LOOKS if look.parse is clf.parse and _most(look, lines)), None)
        found = None if look is None else _clf(look, lines)
    if found is None and (columns := table.recognized(name, lines)) is not None:
        found = Format("table", columns, fields.spoken(columns.roles))
    if found is None and prefix is not None and (inner := _detected(name, bare, depth + 1)) is not None:
        return _behind(prefix, inner)
    return found


def _certain(name: str, lines: Sequence[bytes], depth: int) -> Format | None:
    """Return the format of lines that look like nothing else."""
    if (head := w3c.recognized(name, lines)) is not None:
        amazon = b"x-edge-location" in b" ".join(lines[:4])
        who = "CloudFront's access log" if amazon else "W3C extended log format"
        return Format(who, head, "fields as its #Fields line names them, times in UTC")
    if json_lines.are_objects(lines):
        return _of_json(name, lines, depth)
    for look in LOOKS:
        if look.parse is not clf.parse and _most(look, lines):
            return Format(look.name, look.parse, look.note)
        if look.why and _most(look, lines):
            raise LogError(f"{name}: looks like {look.name}: {look.why}. Its first line: {shown(lines[0])}")
    return None


def _most(look: _Look, lines: Sequence[bytes]) -> bool:
    return 2 * sum(look.pattern.match(line) is not None for line in lines) > len(lines)


def _behind(prefix: str, inner: Format) -> Format:
    parse = inner.parse
    return replace(
        inner,
        parse=lambda line, clock: parse(collected.strip(line), clock),
        note=f"{inner.note}; behind {prefix}",
        plain=False,
    )


def _clf(look: _Look, lines: Sequence[bytes]) -> Format:
    """Name what stands before lines of Common Log Format and its relatives."""
    note = look.note
    lines = [line for line in lines if look.pattern.match(line)]
    bare = [collected.strip(line) for line in lines]
    if (prefix := collected.named(lines)) is not None:
        note += f"; behind {prefix}"
    if 2 * sum(_VHOST.match(line) is not None for line in bare) > len(bare):
        note += "; the virtual host before the client is part of each key"
    before = collected.CRI if prefix == collected.KUBERNETES else None
    return Format(look.name, clf.parse, note, plain=True, prefix=before)


def _of_json(name: str, lines: Sequence[bytes], depth: int) -> Format | None:
    found = json_lines.recognized(lines)
    if found is not None:
        return Format(found.name, found, fields.spoken(found.roles))
    field = json_lines.text_field(lines)
    if field is None or depth >= _NESTED:
        return None
    texts = [text for line in lines if (text := json_lines.text_of(line, field)) is not None]
    inner = _detected(name, texts, depth + 1)
    if inner is None:
        return None
    parse = inner.parse

    def unwrapped(line: bytes, clock: Clock) -> Entry | str:
        text = json_lines.text_of(line, field)
        return UNREADABLE if text is None else parse(text, clock)

    return replace(
        inner, parse=unwrapped, note=f"{inner.note}; in the field {field} of JSON lines", plain=False
    )


def _described(name: str, lines: Sequence[bytes], log_format: str) -> Format:
    """Return the format that the user has described."""
    given = fields.mapping(log_format)
    if given is None:
        described = template.compiled(log_format)
        return Format(described.name, described, f"lines as {log_format} writes them")
    if json_lines.are_objects(lines):
        found = json_lines.recognized(lines, given)
        if found is not None:
            return Format(found.name, found, fields.spoken(found.roles))
    columns = table.recognized(name, lines, given)
    if columns is None:
        raise LogError(
            f"{name}: --log-format {log_format!r} leaves open which field is the time, or the path; its "
            f"first line: {shown(lines[0]) if lines else '(none)'}"
        )
    return Format("table", columns, fields.spoken(columns.roles))
