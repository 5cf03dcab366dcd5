"""How a log is to be read, as the user says it: its format, and which of its requests are taken as what."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from traffic.logs.errors import LogError
from traffic.logs.formats.times import Clock

_ARROW: Final = re.compile("→|=>")
_STATUS: Final = re.compile(r"([1-5])xx|(\d{3})(?:-(\d{3}))?", re.IGNORECASE)
_GROUP: Final = re.compile(r"\$(\d)")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MINUTE: Final = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d)(Z|[+-]\d\d:?\d\d)?")


@dataclass(frozen=True)
class Reading:
    """The options of everything that reads a log. Made of what the user wrote, and checked at once.

    Attributes:
        log_format: nginx's `log_format` or Apache's `LogFormat` string; None: told by the first lines.
        path_regex: only targets (path and query, as sent) in which it is found.
        methods: only these; GET and HEAD are what caches answer.
        statuses: only these answers, as `200`, `2xx` or `200-299`.
        since: only requests from this time on, ISO 8601; UTC where it names no zone.
        until: only requests before this time.
        strip_query: names of query parameters that are no part of the key, `utm_*` and `*` are patterns.
        key_rewrites: `regex→template` (or `=>`), applied to each target in turn; `\\1` or `$1`
            are groups.

    Raises:
        LogError: an option cannot be understood; it names the option and the reason.
    """

    log_format: str | None = None
    path_regex: str | None = None
    methods: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    strip_query: tuple[str, ...] = ()
    key_rewrites: tuple[str, ...] = ()
    path: re.Pattern[bytes] | None = field(init=False, compare=False, repr=False)
    rewrites: tuple[tuple[re.Pattern[bytes], bytes], ...] = field(init=False, compare=False, repr=False)
    status_ranges: tuple[tuple[int, int], ...] = field(init=False, compare=False, repr=False)
    since_us: int | None = field(init=False, compare=False, repr=False)
    until_us: int | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("methods", "statuses", "strip_query"):
            object.__setattr__(self, name, _listed(getattr(self, name)))
        object.__setattr__(self, "methods", tuple(name.upper() for name in self.methods))
        for name in self.methods:
            if name not in ("GET", "HEAD"):
                raise LogError(
                    f"--method {name}: only GET and HEAD are answered by a cache; name one of them"
                )
        path = None if self.path_regex is None else _compiled("--path-regex", self.path_regex)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "status_ranges", tuple(_range(text) for text in self.statuses))
        object.__setattr__(self, "rewrites", tuple(_rewrite(text) for text in self.key_rewrites))
        object.__setattr__(self, "since_us", _moment("--since", self.since))
        object.__setattr__(self, "until_us", _moment("--until", self.until))
        if self.since_us is not None and self.until_us is not None and self.since_us >= self.until_us:
            raise LogError(f"--until {self.until}: is not after --since {self.since}; the range is empty")

    @property
    def selects(self) -> bool:
        """Tell whether any request can be left out, or any key be rewritten."""
        return self != Reading(log_format=self.log_format)


def _listed(values: tuple[str, ...]) -> tuple[str, ...]:
    """Take lists that are separated by commas apart."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _compiled(option: str, text: str) -> re.Pattern[bytes]:
    try:
        return re.compile(text.encode("utf-8", "surrogateescape"))
    except (re.error, OverflowError, RecursionError) as error:
        raise LogError(f"{option} {text!r}: is not a regular expression ({error})") from error


def _range(text: str) -> tuple[int, int]:
    found = _STATUS.fullmatch(text)
    if found is None:
        raise LogError(f"--status {text}: is not a status; write 200, 2xx or 200-299")
    if found[1]:
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    first, last = int(found[2]), int(found[3] or found[2])
    if last < first:
        raise LogError(f"--status {text}: ends before it begins; write {last}-{first}")
    return first, last


def _rewrite(text: str) -> tuple[re.Pattern[bytes], bytes]:
    option = "--key"
    parts = _ARROW.split(text, maxsplit=1)
    if len(parts) != 2 or not parts[0].strip():
        raise LogError(
            f"{option} {text!r}: has no arrow between regex and template; write, for example, "
            "'^/users/\\d+→/users/N'"
        )
    pattern = _compiled(option, parts[0].strip())
    template = _GROUP.sub(r"\\g<\1>", parts[1].strip()).encode("utf-8", "surrogateescape")
    names = {number: name.encode() for name, number in pattern.groupindex.items()}
    groups = (b"(?P<%b>)" % names[at] if at in names else b"()" for at in range(1, pattern.groups + 1))
    try:
        re.compile(b"".join(groups)).sub(template, b"")  # a pattern with the same groups, that always matches
    except (re.error, IndexError) as error:
        raise LogError(f"{option} {text!r}: the template is not valid ({error})") from error
    return pattern, template


def _moment(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    written = text.strip()
    if _DATE.fullmatch(written):
        written += "T00:00:00Z"
    elif found := _MINUTE.fullmatch(written):
        written = f"{found[1]}:00{found[2] or 'Z'}"
    at_us = Clock().read(written.encode())
    if at_us is None:
        raise LogError(
            f"{option} {text}: is not a time; write 2025-03-14, 2025-03-14T09:00 or 2025-03-14T09:00:00Z"
        )
    return at_us


AS_IT_IS: Final = Reading()
