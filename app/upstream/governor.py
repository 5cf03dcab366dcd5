"""Keeps within the upstream's quotas: at most so many calls at once, none while it has asked for patience.

GitHub tells what is left of the hour's calls in `x-ratelimit-remaining` and `x-ratelimit-reset` (epoch), for
the resource in `x-ratelimit-resource`, and how long to wait after a refusal in `retry-after` (seconds; by RFC
9110 it may be a date, too). A refusal by a secondary limit may have neither: then it asks for a minute, and
for longer each time it comes again.
Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api

Times that the upstream names are turned into durations when they come, by its own `Date` where there is one:
no wait depends on a clock that may be set.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from app.upstream.quotas import Quotas

# Quotas are counted by the hour, and clocks differ by a bit. What claims to be further away is none.
LONGEST_S: Final = 3900.0
SECONDARY_S: Final = 60.0  # the first wait after a refusal that names none
_LARGEST: Final = 2**31  # what is larger counts as this (RFC 9111, section 1.2.2)
_SOON_S: Final = 1.0
# By its status alone, a 403 may be for this path only: what it says tells.
_LIMITED: Final = re.compile(rb"rate limit|abuse detection", re.IGNORECASE)
_READ: Final = 4096  # bytes of such a body
_log = logging.getLogger(__name__)


class QuotaError(Exception):
    """No call should be made for `wait_s` seconds; `why` is one word for headers."""

    def __init__(self, said: str, why: bytes, wait_s: float) -> None:
        super().__init__(said)
        self.why = why
        self.wait_s = wait_s


class Governor:
    """What the upstream has said about calling it, and the calls under way.

    Who waits for one of the `concurrency` calls to end waits for `patience_s` at most. `clock` tells the
    epoch, `ticks` is what durations are measured by; where `clock` alone is given, it does both.
    """

    def __init__(
        self,
        concurrency: int,
        reserve: int,
        patience_s: float,
        clock: Callable[[], float] | None = None,
        ticks: Callable[[], float] | None = None,
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._reserve = reserve
        self._patience_s = patience_s
        self._clock = clock or time.time
        self._ticks = ticks or clock or time.monotonic
        self._quotas = Quotas()
        self._closed_until_s = 0.0
        self._refused = 0  # how often in a row, without a wait that was named

    @asynccontextmanager
    async def call(self, name: str = "", *, spare: bool) -> AsyncIterator[None]:
        """Hold one of the calls that may be made at once, for a path with its query.

        `spare`: the caller could do without, so that the last `reserve` calls are left to who cannot.

        Raises:
            QuotaError: no call may be made, now or once it is this caller's turn.
        """
        self._refuse(name, spare)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._slots.acquire()
        except TimeoutError:
            raise QuotaError("too many calls to the upstream are in progress", b"busy", _SOON_S) from None
        try:
            self._refuse(name, spare)  # what the calls before this one brought may have changed it
            quota = self._quotas.of(name)
            quota.under_way += 1
            try:
                yield
            finally:
                quota.under_way -= 1
        finally:
            self._slots.release()

    def _refuse(self, name: str, spare: bool) -> None:
        wait_s = self.wait_s(name, spare=spare)
        if wait_s:
            raise QuotaError("the upstream's quota is used up", b"quota", wait_s)

    def wait_s(self, name: str = "", *, spare: bool) -> float:
        """Return for how long no call for a path should be made; 0 where one may."""
        now_s, quota = self._ticks(), self._quotas.of(name)
        if now_s < self._closed_until_s:
            return self._closed_until_s - now_s
        if quota.remaining is None or now_s >= quota.ends_s:
            return 0.0
        left = quota.remaining - (self._reserve if spare else 0)
        if left <= 0:
            return quota.ends_s - now_s
        # Each call under way takes one; those that the upstream has counted already are told of soon.
        return _SOON_S if left <= quota.under_way else 0.0

    def learn(self, status: int, headers: Mapping[str, str], name: str = "", body: bytes = b"") -> None:
        """Take in what the answer for a path says of quotas; what makes no sense is passed over."""
        if status == 401:
            return  # what it tells is the quota of callers without a valid token, and no call of ours is one
        quota = self._quotas.learn(name, headers.get("x-ratelimit-resource"))
        remaining = whole_number(headers.get("x-ratelimit-remaining", ""))
        reset_s = whole_number(headers.get("x-ratelimit-reset", ""))
        now_s, there_s = self._ticks(), _date_s(headers.get("date", "")) or self._clock()
        if remaining is not None and reset_s is not None and 0 < reset_s - there_s <= LONGEST_S:
            quota.remain(remaining, reset_s, now_s, now_s + reset_s - there_s)
        if status < 400:
            self._refused = 0
        patience_s = self._patience_asked_s(status, headers.get("retry-after", ""), there_s)
        if not patience_s and now_s >= self._closed_until_s and quota.left(now_s):
            patience_s = self._patience_due_s(status, counted=remaining is not None, body=body)
        if now_s + patience_s > self._closed_until_s and patience_s > 0:
            self._closed_until_s = now_s + patience_s
            _log.warning("the upstream asks to wait", extra={"seconds": round(patience_s)})

    def _patience_due_s(self, status: int, *, counted: bool, body: bytes) -> float:
        """Return for how long a refusal that names no wait is heeded; 0 if it may be for its path alone."""
        says_so = status in (403, 429) and _LIMITED.search(body, 0, _READ) is not None
        if not says_so and status != 429:
            return 0.0
        self._refused += 1
        # A 429 that says nothing at all is believed when it comes again.
        times = self._refused - (1 if says_so or counted else 2)
        return min(SECONDARY_S * 2 ** min(times, 9), LONGEST_S) if times >= 0 else 0.0

    def _patience_asked_s(self, status: int, text: str, there_s: float) -> float:
        """Return for how long a `Retry-After` asks, `LONGEST_S` at most; 0 if it makes no sense."""
        if status not in (403, 429, 503):
            return 0.0
        seconds: float | None = whole_number(text)
        if seconds is None:
            until_s = _date_s(text)
            seconds = until_s - there_s if until_s is not None else 0.0
        return min(max(seconds, 0.0), LONGEST_S)


def _date_s(text: str) -> float | None:
    """Return the epoch of a date; None if it is none."""
    try:
        date = parsedate_to_datetime(text)
        # A date without a zone is in UTC here: HTTP knows no other.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def whole_number(text: str) -> int | None:
    """Read a whole number of a header, at most 2³¹; None if it is none."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0")
    return min(int(digits or "0"), _LARGEST) if len(digits) <= len(str(_LARGEST)) else _LARGEST
