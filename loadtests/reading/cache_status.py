"""`Cache-Status` (RFC 9211), read as the structured field list that it is (RFC 8941, section 4.2).

Values come in lower case, as the client hands heads on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from scenarios.outcomes import BYPASS, DELAYED, ERROR, HIT, MISS, STALE, UNKNOWN

_KEY: Final = re.compile(r"[a-z*][a-z0-9_.*-]*")
_NUMBER: Final = re.compile(r"-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])")
_STRING: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN: Final = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*")
_BYTES: Final = re.compile(r":[A-Za-z0-9+/=]*:")
_BOOLEAN: Final = re.compile(r"\?[01]")
_SPACES: Final = re.compile(r" *")
_BLANKS: Final = re.compile(r"[ \t]*")


class Token(str):
    """A bare word, such as `uri-miss`."""

    __slots__ = ()


Bare = str | bytes | bool | int | float
Parameters = dict[str, Bare]


class Member(NamedTuple):
    """A member of the list: a cache by its name, and what it says; the name is None for anything else."""

    name: str | None
    parameters: Parameters


class MalformedError(ValueError):
    """It is no structured field list, or its members are not what RFC 9211 makes of them."""


def members(value: str) -> list[Member]:
    """Return the members of a list, in their order.

    Raises:
        MalformedError: it is none.
    """
    reader = _Reader(value.strip(" "))
    found: list[Member] = []
    while not reader.ended:
        found.append(reader.member())
        reader.skip(_BLANKS)
        if reader.ended:
            break
        reader.expect(",")
        reader.skip(_BLANKS)
        if reader.ended:
            raise MalformedError("a comma stands at the end")
    return found


class _Reader:
    """Reads a field from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._text)

    def skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise MalformedError(f"{self._text[self._at : self._at + 20]!r} cannot be read")
        self._at = found.end()
        return found.group(found.lastindex or 0)

    def expect(self, sign: str) -> None:
        if not self._text.startswith(sign, self._at):
            raise MalformedError(f"{sign} is missing")
        self._at += 1

    def _next_is(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def member(self) -> Member:
        if self._next_is("("):
            self._inner_list()
            name = None
        else:
            item = self._bare()
            name = str(item) if isinstance(item, str) else None
        return Member(name, self._parameters())

    def _inner_list(self) -> None:
        self.expect("(")
        while True:
            self.skip(_SPACES)
            if self._next_is(")"):
                self.expect(")")
                return
            self._bare()
            self._parameters()
            if not (self._next_is(" ") or self._next_is(")")):
                raise MalformedError("an inner list does not end")

    def _parameters(self) -> Parameters:
        found: Parameters = {}
        while self._next_is(";"):
            self.expect(";")
            self.skip(_SPACES)
            key = self.skip(_KEY)
            found.pop(key, None)  # the last of a name counts
            found[key] = True
            if self._next_is("="):
                self.expect("=")
                found[key] = self._bare()
        return found

    def _bare(self) -> Bare:
        sign = self._text[self._at : self._at + 1]
        if sign == '"':
            return re.sub(r"\\(.)", r"\1", self.skip(_STRING))
        if sign == "?":
            return self.skip(_BOOLEAN) == "?1"
        if sign == ":":
            return self.skip(_BYTES).encode()
        if sign == "-" or sign.isdigit():
            number = self.skip(_NUMBER)
            return float(number) if "." in number else int(number)
        return Token(self.skip(_TOKEN))


def meant(found: Sequence[Member], name: str | None) -> Member | None:
    """Return the member of a name; of no name, the last one: the cache nearest to the client.

    Where a cache speaks twice, what it said last counts.
    """
    wanted = [member for member in found if name is None or (member.name or "") == name.lower()]
    return wanted[-1] if wanted else None


def outcome(member: Member) -> int:
    """Return the code of what a member says.

    Raises:
        MalformedError: it is no cache, contradicts itself, or a parameter is of a wrong type.
    """
    if member.name is None:
        raise MalformedError("a member is not named by a string or a token")
    says = member.parameters
    hit, collapsed, forward = says.get("hit", False), says.get("collapsed", False), says.get("fwd")
    if not isinstance(hit, bool) or not isinstance(collapsed, bool):
        raise MalformedError("`hit` and `collapsed` are booleans")
    if forward is not None and not isinstance(forward, Token):
        raise MalformedError("`fwd` is a token")
    if hit and forward is not None:
        raise MalformedError("it is a hit and was forwarded")
    if hit:
        return STALE if _is_stale(says) else HIT
    if collapsed:
        return DELAYED
    if forward is None:
        return ERROR if says.get("detail") == "refused" else UNKNOWN  # our app, of a path that it refuses
    return BYPASS if forward == "bypass" else MISS


def _is_stale(says: Parameters) -> bool:
    ttl, detail = says.get("ttl"), says.get("detail")
    outlived = isinstance(ttl, int | float) and not isinstance(ttl, bool) and ttl < 0
    return outlived or (isinstance(detail, str) and detail.startswith("stale"))
