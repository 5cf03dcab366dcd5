"""Requests from named fields: which names mean what (JSON, W3C, CSV, Parquet)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from traffic.logs.errors import LogError
from traffic.logs.formats.entry import NO_STATUS, UNREADABLE, Entry, size
from traffic.logs.formats.request_line import Asked, of_parts, requested
from traffic.logs.formats.times import Clock

# By role: the names of the fields that have it, the best first. Names are compared as `plain` makes them.
_NAMES: Final = {
    "time": "startutc startlocal start_time msec ts time_iso8601 time_local @timestamp timestamp time "
    "datetime date_time requesttime edgestarttimestamp event_time created_at date",
    "request": "request request_line requestline http.request_line cs_request",
    "method": "request.method method request_method requestmethod clientrequestmethod "
    "httprequest.requestmethod http_method httpmethod http.request.method http.method req.method cs_method "
    "verb",
    "url": "request.uri request_uri requesturi requestpath clientrequesturi httprequest.requesturl "
    "request_url url.original req.url http.url http.target url target uri path url.path uri_path path_info",
    "query": "args query_string querystring url.query query uri_query",
    "host": "request.host requesthost clientrequesthost http_host authority :authority http.host url.domain "
    "vhost virtual_host server_name domain_name domainname host",
    "status": "status downstreamstatus edgeresponsestatus httprequest.status status_code statuscode "
    "response_code response.status http.response.status_code http.status_code res.statuscode originstatus "
    "code response",
    "size": "body_bytes_sent size downstreamcontentsize edgeresponsebytes httprequest.responsesize "
    "response_size bytes_sent bytes responselength response_length http.response.body.bytes content_length "
    "length",
    "client": "request.client_ip request.remote_ip remote_addr clienthost clientip client_ip "
    "httprequest.remoteip remote_ip client.ip client source.address source_ip sourceip remote_address "
    "remote_host downstream_remote_address ip c_ip",
}
ROLES: Final = {role: tuple(names.split()) for role, names in _NAMES.items()}
_ALIASES: Final = {"path": "url", "bytes": "size"}  # as users name roles
_WITHOUT_QUERY: Final = ("uri", "path", "url.path", "uri_path", "path_info")
_MAPPING: Final = re.compile(r"\s*\w+\s*=\s*[^=,]+(?:,\s*\w+\s*=\s*[^=,]+)*")
WORDS: Final = {"url": "path", "size": "bytes"}


class Raw(NamedTuple):
    """The texts of a request, without any escaping; empty: there is none. `query` lacks its `?`."""

    time: bytes
    request: bytes = b""
    method: bytes = b""
    url: bytes = b""
    query: bytes = b""
    host: bytes = b""
    status: bytes = b""
    size: bytes = b""
    client: bytes = b""


def entry(raw: Raw, clock: Clock, *, timed: str = UNREADABLE) -> Entry | str:
    """Make a request of its texts; text says why it is none. `timed`: what a time that is none means.

    Where there is no method, it is GET; where there is no status, 200.
    """
    at_us = clock.read(raw.time)
    if at_us is None:
        return timed
    found = asked_for(raw)
    if isinstance(found, str):
        return found
    status = raw.status or b"200"
    if not status.isdigit() or len(status) > 3:
        return NO_STATUS
    return Entry(
        at_us, found.method, found.host, found.target, int(status), size(raw.size), address(raw.client)
    )


def asked_for(raw: Raw) -> Asked | str:
    """Return method, host and target of a request by its texts; text says why it asks for no resource."""
    if raw.request:
        found = requested(raw.request)
    else:
        url = raw.url + (b"?" + raw.query if raw.query not in (b"", b"-") and b"?" not in raw.url else b"")
        found = of_parts(raw.method or b"GET", url)
    if isinstance(found, str) or found.host:
        return found
    return found._replace(host=b"" if raw.host == b"-" else raw.host.strip().lower())


def address(text: bytes) -> bytes:
    """Return a client's address without its port; the first of several; empty where there is none."""
    one = text.strip(b' "').partition(b",")[0].strip()
    if one.startswith(b"["):
        one = one[1:].partition(b"]")[0]
    elif one.count(b":") == 1:
        one = one.partition(b":")[0]
    return b"" if one == b"-" else one


def plain(name: str) -> str:
    """Return a field's name as names are compared: `Status-Code` is `status_code`."""
    return name.strip().strip("\ufeff\"'").lower().replace("-", "_").replace(" ", "_")


def chosen(names: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the field of each role, out of the names that there are; `given` by the user come first.

    Raises:
        LogError: one that is given is not there.
    """
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(plain(name), name)
    roles = {}
    for role, name in (given or {}).items():
        if plain(name) not in known:
            raise LogError(
                f"--log-format: there is no field {name}; there are {', '.join(list(known.values())[:20])}"
            )
        roles[role] = known[plain(name)]
    for role, candidates in ROLES.items():
        if role in roles or (role == "request" and given and "url" in given):
            continue
        found = next((known[name] for name in candidates if name in known), None)
        if found is not None:
            roles[role] = found
    if "url" in roles and plain(roles["url"]) not in _WITHOUT_QUERY and "query" not in (given or {}):
        roles.pop("query", None)  # such a field has the query in it
    if "request" in roles:
        roles = {role: name for role, name in roles.items() if role not in ("method", "url", "query")}
    return roles


def suffices(roles: Mapping[str, str]) -> bool:
    """Tell whether fields are enough to know when what was asked for."""
    return "time" in roles and ("request" in roles or "url" in roles)


def spoken(roles: Mapping[str, str]) -> str:
    """Say which field is taken as what: `time from ts, path from request.uri`."""
    return ", ".join(f"{WORDS.get(role, role)} from {roles[role]}" for role in ROLES if role in roles) + (
        "" if "status" in roles else "; no status, so each is taken as 200"
    )


def mapping(text: str) -> dict[str, str] | None:
    """Read `--log-format 'time=when, path=where'`; None where it is no such list.

    Raises:
        LogError: it names a role that there is not.
    """
    if not _MAPPING.fullmatch(text):
        return None
    given = {}
    for part in text.split(","):
        role, _, name = (word.strip() for word in part.partition("="))
        role = _ALIASES.get(role.lower(), role.lower())
        if role not in ROLES:
            words = ", ".join(WORDS.get(known, known) for known in ROLES)
            raise LogError(f"--log-format: {role}={name} names no part of a request; there are {words}")
        given[role] = name
    return given
