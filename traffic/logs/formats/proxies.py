"""Logs of proxies in formats of their own: HAProxy's HTTP log, Envoy's and Istio's default, Squid's native.

HAProxy: https://docs.haproxy.org/3.0/configuration.html#8.2.3,
Envoy: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage,
Squid: https://wiki.squid-cache.org/Features/LogFormat
"""

from __future__ import annotations

import re
from typing import Final

from traffic.logs.formats import fields
from traffic.logs.formats.entry import NO_STATUS, UNREADABLE, Entry
from traffic.logs.formats.fields import Raw
from traffic.logs.formats.times import Clock

HAPROXY: Final = re.compile(
    rb"(?P<client>\S+):\d+ \[(?P<time>[^\]]+)\] \S+ [^\s/]+/\S+ [\d+/-]+ (?P<status>\d{3}|-1) "
    rb'\+?(?P<size>\d+) \S+ \S+ [A-Za-z-]{4} [\d+/]+ [\d/]+ (?:\{.*?\} ){0,2}"(?P<request>.*)"?'
)
ENVOY: Final = re.compile(
    rb'\[(?P<time>\d{4}-\d\d-\d\dT[^\]]+)\] "(?P<request>.*?)" (?P<status>\d{1,3}) (?:-|[A-Z][A-Za-z0-9,]*) '
    rb'(?:\S+ \S+ (?:"[^"]*"|\S+) )?(?P<received>\d+) (?P<size>\d+) \d+ \S+ '
    rb'"(?P<forwarded>[^"]*)" "[^"]*" "[^"]*" "(?P<host>[^"]*)" "[^"]*"(?P<rest>.*)'
)
SQUID: Final = re.compile(
    rb"(?P<time>\d{9,10}\.\d{3}) +-?\d+ (?P<client>\S+) [A-Z_]+/(?P<status>\d{3}) (?P<size>\d+) "
    rb"(?P<method>\S+) (?P<url>\S.*?) \S+ [A-Z_]+/\S* \S+"
)
_ENCODED: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_DOWNSTREAM: Final = 3  # of what Istio adds: cluster, local of upstream, local and remote of downstream


def haproxy(line: bytes, clock: Clock) -> Entry | str:
    """Read a line of HAProxy's HTTP log, with or without syslog's prefix; text says why it is no request."""
    found = HAPROXY.search(line)
    if found is None:
        return UNREADABLE
    request = found["request"].removesuffix(b'"')
    if request == b"<BADREQ>":
        return "not an HTTP request"
    if found["status"] == b"-1":
        return NO_STATUS
    request = _ENCODED.sub(lambda sign: bytes([int(sign[1], 16)]), request)
    raw = Raw(
        found["time"], request or b"-", status=found["status"], size=found["size"], client=found["client"]
    )
    return fields.entry(raw, clock)


def envoy(line: bytes, clock: Clock) -> Entry | str:
    """Read a line of Envoy's or Istio's default log; text says why it is no request for a resource."""
    found = ENVOY.match(line)
    if found is None:
        return UNREADABLE
    if int(found["status"]) == 0:
        return NO_STATUS
    rest, client = found["rest"].split(), found["forwarded"]
    if client in (b"", b"-") and len(rest) > _DOWNSTREAM:
        client = rest[_DOWNSTREAM]
    raw = Raw(
        found["time"], found["request"] or b"-", host=found["host"], status=found["status"],
        size=found["size"], client=client,
    )  # fmt: skip
    return fields.entry(raw, clock)


def squid(line: bytes, clock: Clock) -> Entry | str:
    """Read a line of Squid's native log; text says why it is no request for a resource."""
    found = SQUID.match(line)
    if found is None:
        return UNREADABLE
    raw = Raw(
        found["time"], method=found["method"], url=found["url"], status=found["status"], size=found["size"],
        client=found["client"],
    )  # fmt: skip
    return fields.entry(raw, clock)
