"""Amazon's logs of load balancers and of S3, each a line of fields with the request in quotes.

ALB: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html,
ELB: …/elasticloadbalancing/latest/classic/access-log-collection.html,
S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
"""

from __future__ import annotations

import re
from typing import Final

from traffic.logs.formats import fields
from traffic.logs.formats.entry import UNREADABLE, Entry
from traffic.logs.formats.fields import Raw
from traffic.logs.formats.request_line import unescaped
from traffic.logs.formats.times import Clock

_REQUEST: Final = rb'"((?:[^"\\]|\\.)*)"'
_NUMBER: Final = rb"-?[\d.]+|-"
ALB: Final = re.compile(
    rb"(?:https?|h2|grpcs?|wss?) (?P<time>\d{4}-\d\d-\d\dT\S+) \S+ (?P<client>\S+) \S+ "
    rb"(?:(?:%b) ){3}(?P<status>\d+|-) \S+ (?:%b) (?P<size>%b) (?P<request>%b)"
    % ((_NUMBER,) * 3 + (_REQUEST,))
)
ELB: Final = re.compile(
    rb"(?P<time>\d{4}-\d\d-\d\dT\S+) \S+ (?P<client>\S+:\d+|-) \S+ "
    rb"(?:(?:%b) ){3}(?P<status>\d+|-) \S+ (?:%b) (?P<size>%b) (?P<request>%b)"
    % ((_NUMBER,) * 3 + (_REQUEST,))
)
S3: Final = re.compile(
    rb"\S+ \S+ \[(?P<time>[^\]]+)\] (?P<client>\S+) \S+ \S+ (?P<operation>[A-Z][A-Z0-9]*\.[A-Z0-9_.]+) \S+ "
    rb'(?P<request>"(?:[^"\\]|\\.)*"|-) (?P<status>\d+|-) \S+ (?P<size>\S+) \S+ \S+ \S+'
    rb"(?P<rest> .*)"
)
# What follows the agent, whose quotes S3 does not escape: signature, cipher, authentication, host, TLS.
_HOST_OF_S3: Final = re.compile(
    rb" (?:SigV\d\w*|-) \S+ (?:AuthHeader|QueryString|-) (\S+) (?:TLSv[\d.]+|-)(?: |$)"
)


def alb(line: bytes, clock: Clock) -> Entry | str:
    """Read a line of an Application Load Balancer; text says why it is no request for a resource."""
    return _read(ALB, line, clock)


def elb(line: bytes, clock: Clock) -> Entry | str:
    """Read a line of a classic load balancer; text says why it is no request for a resource."""
    return _read(ELB, line, clock)


def s3(line: bytes, clock: Clock) -> Entry | str:
    """Read a line of S3; text says why it is no request for a resource."""
    return _read(S3, line, clock)


def _read(pattern: re.Pattern[bytes], line: bytes, clock: Clock) -> Entry | str:
    found = pattern.match(line)
    if found is None:
        return UNREADABLE
    host = _HOST_OF_S3.search(found["rest"]) if "rest" in pattern.groupindex else None
    request = unescaped(found["request"].removeprefix(b'"').removesuffix(b'"'))
    raw = Raw(
        time=found["time"],
        request=request or b"-",
        host=host[1] if host else b"",
        status=found["status"],
        size=found["size"],
        client=found["client"],
    )
    return fields.entry(raw, clock)
