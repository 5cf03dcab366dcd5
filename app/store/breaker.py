"""A circuit breaker whose probe costs no request anything.

Closed, requests pass. The first failure opens it: requests are refused at once, with the failure's reason.
Meanwhile a task of its own probes from time to time (the half-open state), and closes it when a probe
succeeds. What trips it again soon after is probed no sooner than before: something that answers probes and
little else would open and close it all the time. Source: M. Nygard, "Release It!", 2007.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

_log = logging.getLogger(__name__)
FIRST_PROBE_S: Final = 0.05
LAST_PROBE_S: Final = 4.0
STEADY_S: Final = 1.0  # closed for so long, what failed counts as well again


class Breaker:
    """Guards one dependency. `probe` raises while it is not to be had."""

    def __init__(self, probe: Callable[[], Awaitable[None]]) -> None:
        self._probe = probe
        self._task: asyncio.Task[None] | None = None
        self._pause_s = FIRST_PROBE_S
        self._closed_s = -STEADY_S
        self.reason: str | None = None

    def trip(self, reason: str, cause: str = "") -> None:
        """Open, and begin to probe; nothing changes if it is open already. `cause` is for the log."""
        if self.reason is not None:
            return
        self.reason = reason
        if time.monotonic() - self._closed_s >= STEADY_S:
            self._pause_s = FIRST_PROBE_S
        _log.warning("redis is bypassed", extra={"reason": reason, "cause": cause})
        self._task = asyncio.get_running_loop().create_task(self._recover())

    async def close(self) -> None:
        """End the probing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _recover(self) -> None:
        while self.reason is not None:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, LAST_PROBE_S)
            try:
                await self._probe()
            except Exception as error:
                _log.info("redis still fails", extra={"error": str(error) or type(error).__name__})
            else:
                _log.warning("redis is used again", extra={"reason": self.reason})
                self.reason, self._closed_s = None, time.monotonic()
