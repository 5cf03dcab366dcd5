"""What an answer says of the cache behind it: by `Cache-Status`, by headers known by name, or by rules.

docs/load.md has the table of headers and words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from loadtests.reading import cache_status
from scenarios.contract import OURS, Contract, HitRule
from scenarios.outcomes import BYPASS, ERROR, HIT, MISS, REASON, STALE, UNKNOWN

CACHE_STATUS: Final = "cache-status"
# Headers of proxies, CDNs and frameworks, in the order in which they are believed. `Age` tells hits only.
KNOWN: Final = (
    CACHE_STATUS,
    "x-cache-status",
    "x-proxy-cache",
    "cf-cache-status",
    "x-vercel-cache",
    "x-nextjs-cache",
    "x-fastapi-cache",
    "x-litespeed-cache",
    "x-drupal-cache",
    "cdn-cache",
    "x-cache",
    "age",
)
_WORDS: Final = {
    "hit": HIT,
    "miss": MISS,
    # The upstream was asked whether the copy holds: a call.
    "expired": MISS,
    "revalidated": MISS,
    "refreshhit": MISS,
    "refresh": MISS,
    "stale": STALE,
    "updating": STALE,
    "bypass": BYPASS,
    "dynamic": BYPASS,
    "pass": BYPASS,
    "uncacheable": BYPASS,
    "none": BYPASS,
    "disabled": BYPASS,
}
_BETWEEN: Final = re.compile(r"[^a-z0-9]+")
_HOST: Final = re.compile(r" from |\(")
_REMEMBERED: Final = 4096
# If a response has a Cache-Status (RFC 9211), no other header is used.
_FINAL: Final = b"\r\ncache-status:"
_REFUSED: Final = frozenset((401, 403, 407, 408, 425, 429))
_STATUS, _REDIRECT, _UNREADABLE = (REASON[word] for word in ("status", "redirect", "Cache-Status unreadable"))


class Said(NamedTuple):
    """What an answer says: codes of its outcome, of the reason, and of the header that told (0: none)."""

    outcome: int
    reason: int
    told_by: int


_NOTHING: Final = Said(UNKNOWN, 0, 0)


class Reader:
    """Reads answers of one service. `sources` names the headers that may tell, by code; 0 is none."""

    def __init__(self, contract: Contract = OURS) -> None:
        self._strict = contract.statuses
        self._cache = contract.cache
        self.sources: tuple[str, ...] = ("", *_headers(contract))
        told: dict[str, Callable[[str], tuple[int, int]]] = {CACHE_STATUS: self._cache_status, "age": _age}
        if contract.rules:
            told = {
                name: _ruled([rule for rule in contract.rules if rule.header.lower() == name])
                for name in self.sources[1:]
            }
        self._sources = [
            (f"\r\n{name}:".encode(), code, told.get(name, _worded))
            for code, name in enumerate(self.sources)
            if code
        ]
        self._known: dict[tuple[int, bytes], Said] = {}

    def read(self, status: int, head: bytes) -> Said:
        """Return what an answer says; `head` is in lower case, with the status line."""
        said = self._said(head)
        if status >= 500 or status == 0:
            return Said(ERROR, _STATUS, said.told_by)
        if said.outcome == ERROR:
            return Said(ERROR, _STATUS, said.told_by)
        if 200 <= status < 300 or status == 304 or status in (404, 410):
            return said
        redirect = 300 <= status < 400
        # What a cache forwarded is a call, whatever came of it; a redirect or a refusal is no hit.
        spoke = said.outcome not in (HIT, STALE, UNKNOWN)
        if (redirect or status in _REFUSED) and (self._strict or not spoke):
            return Said(ERROR, _REDIRECT if redirect else _STATUS, said.told_by)
        return said

    def _said(self, head: bytes) -> Said:
        for mark, code, told in self._sources:
            at = head.find(mark)
            if at < 0:
                continue
            start = at + len(mark)
            value = head[start : head.index(b"\r\n", start)]
            if head.find(mark, start) >= 0:
                value = b",".join(_values(head, mark))
            said = self._known.get((code, value))
            if said is None:
                said = Said(*told(value.decode("latin-1").strip(" \t")), code)
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[code, value] = said
            if said.outcome != UNKNOWN or mark == _FINAL:
                return said
        return _NOTHING

    def _cache_status(self, value: str) -> tuple[int, int]:
        try:
            member = cache_status.meant(cache_status.members(value), self._cache)
            return (UNKNOWN if member is None else cache_status.outcome(member)), 0
        except cache_status.MalformedError:
            return UNKNOWN, _UNREADABLE


def _headers(contract: Contract) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.header.lower() for rule in contract.rules)) or KNOWN


def _values(head: bytes, mark: bytes) -> Iterator[bytes]:
    """Yield the values of a header that stands on several lines, in their order."""
    at = head.find(mark)
    while at >= 0:
        start = at + len(mark)
        yield head[start : head.index(b"\r\n", start)]
        at = head.find(mark, start)


def _ruled(rules: Sequence[HitRule]) -> Callable[[str], tuple[int, int]]:
    return lambda value: (HIT if any(rule.meant_by(value) for rule in rules) else MISS, 0)


def _age(value: str) -> tuple[int, int]:
    """A copy that is some seconds old is a hit. A new one may be either."""
    return (HIT if value.isdecimal() and int(value[:15]) > 0 else UNKNOWN), 0


def _worded(value: str) -> tuple[int, int]:
    """Read words such as `MISS, HIT` (the last is nearest), `ONLINE_HIT` or `TCP_MEM_HIT from a.example`."""
    words = _BETWEEN.split(_HOST.split(value.rpartition(",")[2].strip())[0])
    found = [_WORDS[word] for word in words if word in _WORDS]
    if not found:
        return UNKNOWN, 0
    return (STALE if STALE in found else found[0]), 0
