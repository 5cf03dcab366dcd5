"""Keeps within the upstream's quota: at most so many calls at once, none while it has asked for patience.

GitHub tells what is left of the hour's calls in `x-ratelimit-remaining` and `x-ratelimit-reset` (epoch), and
how long to wait after a refusal in `retry-after` (seconds).
Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

_log = logging.getLogger(__name__)


class Governor:
    """What the upstream has said about calling it."""

    def __init__(self, concurrency: int, reserve: int) -> None:
        self.slots = asyncio.Semaphore(concurrency)
        self._reserve = reserve
        self._remaining: int | None = None
        self._reset_s = 0.0
        self._closed_until_s = 0.0

    def wait_s(self, *, spare: bool) -> float:
        """Return for how long no call should be made; 0 where one may.

        `spare`: the caller could do without, so that the last `reserve` calls are left to who cannot.
        """
        now_s = time.time()
        if now_s < self._closed_until_s:
            return self._closed_until_s - now_s
        if self._remaining is None or now_s >= self._reset_s:
            return 0.0
        return self._reset_s - now_s if self._remaining <= (self._reserve if spare else 0) else 0.0

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Take in what an answer says of the quota."""
        remaining, reset_s = headers.get("x-ratelimit-remaining", ""), headers.get("x-ratelimit-reset", "")
        if remaining.isdecimal() and reset_s.isdecimal():
            self._remaining, self._reset_s = int(remaining), float(reset_s)
        patience_s = headers.get("retry-after", "")
        if status in (403, 429, 503) and patience_s.isdecimal():
            self._closed_until_s = time.time() + int(patience_s)
            _log.warning("the upstream asks for patience", extra={"seconds": int(patience_s)})
