"""Keeps within the upstream's quota: at most so many calls at once, none while it has asked for patience.

GitHub tells what is left of the hour's calls in `x-ratelimit-remaining` and `x-ratelimit-reset` (epoch), and
how long to wait after a refusal in `retry-after` (seconds; by RFC 9110 it may be a date, too).
Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

# Quotas are counted by the hour, and clocks differ by a bit. What claims to be further away is none.
LONGEST_S: Final = 3900.0
_LARGEST: Final = 2**31  # what is larger counts as this (RFC 9111, section 1.2.2)
_ROUNDING_S: Final = 2.0  # the end of one window, told in whole seconds, may differ from answer to answer
_SOON_S: Final = 1.0
_log = logging.getLogger(__name__)


class QuotaError(Exception):
    """No call should be made for `wait_s` seconds; `why` is one word for headers."""

    def __init__(self, said: str, why: bytes, wait_s: float) -> None:
        super().__init__(said)
        self.why = why
        self.wait_s = wait_s


class Governor:
    """What the upstream has said about calling it, and the calls under way.

    Who waits for one of the `concurrency` calls to end waits for `patience_s` at most.
    """

    def __init__(
        self, concurrency: int, reserve: int, patience_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._reserve = reserve
        self._patience_s = patience_s
        self._clock = clock
        self._under_way = 0
        self._remaining: int | None = None
        self._reset_s = 0.0
        self._closed_until_s = 0.0

    @asynccontextmanager
    async def call(self, *, spare: bool) -> AsyncIterator[None]:
        """Hold one of the calls that may be made at once.

        `spare`: the caller could do without, so that the last `reserve` calls are left to who cannot.

        Raises:
            QuotaError: no call may be made, now or once it is this caller's turn.
        """
        self._refuse(spare)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._slots.acquire()
        except TimeoutError:
            raise QuotaError("too many calls to the upstream are under way", b"busy", _SOON_S) from None
        try:
            self._refuse(spare)  # what the calls before this one brought may have changed it
            self._under_way += 1
            try:
                yield
            finally:
                self._under_way -= 1
        finally:
            self._slots.release()

    def _refuse(self, spare: bool) -> None:
        wait_s = self.wait_s(spare=spare)
        if wait_s:
            raise QuotaError("the upstream's quota is spent", b"quota", wait_s)

    def wait_s(self, *, spare: bool) -> float:
        """Return for how long no call should be made; 0 where one may."""
        now_s = self._clock()
        if now_s < self._closed_until_s:
            return self._closed_until_s - now_s
        if self._remaining is None or now_s >= self._reset_s:
            return 0.0
        left = self._remaining - (self._reserve if spare else 0)
        if left <= 0:
            return self._reset_s - now_s
        # Each call under way takes one; those that the upstream has counted already are told of soon.
        return _SOON_S if left <= self._under_way else 0.0

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Take in what an answer says of the quota; what makes no sense is passed over."""
        remaining = whole_number(headers.get("x-ratelimit-remaining", ""))
        reset_s = whole_number(headers.get("x-ratelimit-reset", ""))
        now_s = self._clock()
        if remaining is not None and reset_s is not None and now_s < reset_s <= now_s + LONGEST_S:
            self._remain(remaining, reset_s)
        patience_s = self._asked_patience_s(headers.get("retry-after", ""))
        if status in (403, 429, 503) and patience_s > 0:
            self._closed_until_s = max(self._closed_until_s, now_s + patience_s)
            _log.warning("the upstream asks for patience", extra={"seconds": round(patience_s)})

    def _remain(self, remaining: int, reset_s: float) -> None:
        """Note what is left of a window: answers may come out of order, so within one the least counts."""
        known = self._remaining is not None and self._clock() < self._reset_s
        if not known or reset_s > self._reset_s + _ROUNDING_S:
            self._remaining, self._reset_s = remaining, reset_s
        elif self._remaining is not None and reset_s >= self._reset_s - _ROUNDING_S:
            self._remaining = min(self._remaining, remaining)

    def _asked_patience_s(self, text: str) -> float:
        """Return for how long a `Retry-After` asks, `LONGEST_S` at most; 0 if it makes no sense."""
        seconds: float | None = whole_number(text)
        if seconds is None:
            try:
                date = parsedate_to_datetime(text)
                # A date without a zone is in UTC here: HTTP knows no other.
                seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - self._clock()
            except (ValueError, OverflowError):
                return 0.0
        return min(max(seconds, 0.0), LONGEST_S)


def whole_number(text: str) -> int | None:
    """Read a whole number of a header, at most 2³¹; None if it is none."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0")
    return min(int(digits or "0"), _LARGEST) if len(digits) <= len(str(_LARGEST)) else _LARGEST
