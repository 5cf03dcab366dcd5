r"""A line in Common or Combined Log Format, or in what servers and collectors make of it.

What is looked for is a time in brackets and, after it, a request in quotes and a status. What stands before
and behind them differs from server to server: virtual hosts, syslog's and Kubernetes' prefixes, a user with
blanks, a field more, quotes around the whole line, fields after the agent. (Apache's LogFormat: `%h %l %u %t
\"%r\" %>s %b`, https://httpd.apache.org/docs/2.4/mod/mod_log_config.html)
"""

from __future__ import annotations

import re
from typing import Final

from traffic.logs.formats import collected
from traffic.logs.formats.entry import NO_STATUS, UNREADABLE, Entry, size
from traffic.logs.formats.fields import address
from traffic.logs.formats.request_line import Asked, asked
from traffic.logs.formats.times import Clock

# A quote that a user name imitates is escaped, and so no quote that follows a blank.
_BEFORE: Final = re.compile(rb'\[([^\[\]"]{6,64})\](?: [^"\s\[]+)* "')
_REQUEST: Final = re.compile(rb'((?:[^"\\]|\\.)*)" (\d{3}|-)(?: (\S*))?(?= |$)', re.DOTALL)
# Servers that do not escape: the request ends where a status follows.
_RAW_REQUEST: Final = re.compile(rb'([A-Za-z]+ .*?)" (\d{3}|-)(?: (\S*))?(?= |$)', re.DOTALL)
_HOST: Final = re.compile(rb'"?([A-Za-z0-9_*][A-Za-z0-9_.*-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?"? (\S+) (\S+)')
_IPV4: Final = re.compile(rb"\d{1,3}(?:\.\d{1,3}){3}")
_EPHEMERAL: Final = 32_768


def parse(line: bytes, clock: Clock) -> Entry | str:
    """Read one line; text says why it is no request for a resource."""
    timed = False
    for before in _BEFORE.finditer(line):
        at_us = clock.read(before[1])
        if at_us is None:
            continue
        timed = True
        found = _REQUEST.match(line, before.end()) or _RAW_REQUEST.match(line, before.end())
        if found is not None:
            return _entry(line[: before.start()], at_us, found)
    return NO_STATUS if timed else UNREADABLE


def _entry(prefix: bytes, at_us: int, found: re.Match[bytes]) -> Entry | str:
    request = asked(found[1])
    if isinstance(request, str):
        return request
    if found[2] == b"-":
        return NO_STATUS
    host, client = _sides(prefix, request)
    return Entry(at_us, request.method, host, request.target, int(found[2]), size(found[3]), client)


def _sides(prefix: bytes, request: Asked) -> tuple[bytes, bytes]:
    """Return the host that a request is for (the target's own, else the virtual host), and its client."""
    before = collected.strip(prefix)
    found = _HOST.match(before)
    if found is None:
        return request.host, address(before.partition(b" ")[0])
    name, port, client, third = found.groups()
    if _IPV4.fullmatch(name) or name.startswith(b"["):  # a client with its port looks like this, too
        served = port is not None and int(port[1:]) < _EPHEMERAL and is_address(client)
    elif is_address(client):
        served = True
    else:  # two names: a virtual host and a client that has been looked up
        served = b"." in client and (port is not None or third == b"-")
    if not served:
        return request.host, name
    return request.host or (name + (port or b"")).lower(), address(client)


def is_address(text: bytes) -> bool:
    """Tell whether a word is an IP address."""
    return bool(_IPV4.fullmatch(text)) or (
        text.count(b":") >= 2 and not text.strip(b"0123456789abcdefABCDEF:.%")
    )
