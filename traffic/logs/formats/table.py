"""Logs as tables: a line with the names of the columns, then values between commas, tabs or semicolons."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Final

from traffic.logs.errors import LogError
from traffic.logs.formats import fields
from traffic.logs.formats.entry import UNREADABLE, Entry
from traffic.logs.formats.fields import Raw, plain
from traffic.logs.formats.times import Clock

_DELIMITERS: Final = (",", "\t", ";", "|")
_HEAD: Final = "the names of the columns"
_LEAST: Final = 2  # columns of a table


class Table:
    """Reads the lines of one table."""

    def __init__(self, head: bytes, delimiter: str, roles: Mapping[str, str]) -> None:
        names = values(head, delimiter) or []
        self.roles, self._head, self._delimiter, self._width = dict(roles), head, delimiter, len(names)
        self._places = {role: names.index(name) for role, name in roles.items()}
        dates = [at for at, name in enumerate(names) if plain(name) == "date" and name != roles["time"]]
        self._date = dates[0] if dates and plain(roles["time"]) == "time" else None

    def __call__(self, line: bytes, clock: Clock) -> Entry | str:
        """Read one line; text says why it is no request for a resource."""
        if line.strip() == self._head.strip():
            return _HEAD
        found = values(line, self._delimiter)
        if found is None or len(found) != self._width:
            return UNREADABLE
        texts = {role: _sent(found[place]).strip() for role, place in self._places.items()}
        if self._date is not None:
            texts["time"] = _sent(found[self._date]).strip() + b" " + texts["time"]
        if "status" in texts:
            texts["status"] = texts["status"] or b"-"
        return fields.entry(Raw(**texts), clock)


def values(line: bytes, delimiter: str) -> list[str] | None:
    """Return the values of a line; None where its quotes are wrong."""
    text = line.decode("utf-8", "surrogateescape").replace("\x00", "")
    try:
        return next(csv.reader([text], delimiter=delimiter), None)
    except csv.Error:
        return None


def recognized(name: str, lines: Sequence[bytes], given: Mapping[str, str] | None = None) -> Table | None:
    """Return how to read a table; None where the first line does not name a time and a path.

    Raises:
        LogError: fields are `given` that its first line does not name.
    """
    head = lines[0] if lines else b""
    for delimiter in _DELIMITERS:
        names = values(head, delimiter) or []
        if len(names) < _LEAST:
            continue
        try:
            roles = fields.chosen(names, given)
        except LogError as error:
            raise LogError(f"{name}: {error}") from None
        if fields.suffices(roles):
            return Table(head, delimiter, roles)
    return None


def _sent(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
