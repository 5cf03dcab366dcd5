"""The way from an app to its Redis: measured by PING from where the app stands, the same on every stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from compose.link.calibration import Calibration, Ping, miss, pings
from scenarios.facts import LinkFacts
from scenarios.model import Variant


@dataclass
class Hop:
    """One deployment's way to Redis. `asked` has `app.ping` send so many PINGs, and returns what it says."""

    variant: Variant
    calibration: Calibration
    asked: Callable[[int], str]
    floor_ms: float | None = None

    def calibrated(self, set_delay: Callable[[float], None]) -> tuple[LinkFacts, str | None]:
        """Have the relay's delay make PING take the configured time; with a note where it does not.

        Raises:
            StackError: Redis or the relay does not answer.
        """
        wanted_us = self.variant.link.rtt_ms * 1000
        seen, floor_us = self.calibration.reach(wanted_us, set_delay, self._ping)
        self.floor_ms = floor_us / 1000
        return self._report(seen, "relay"), miss(wanted_us, seen, self.floor_ms)

    def measured(self, means: str) -> LinkFacts:
        """Measure it now; `means` says by what it goes.

        Raises:
            StackError: Redis does not answer.
        """
        return self._report(self._ping(), means)

    def _report(self, seen: Ping, means: str) -> LinkFacts:
        layout = self.variant.layout
        return LinkFacts(
            means="unix" if layout.in_task and self.variant.cache.sidecar_transport == "unix" else means,
            achieved_ms=seen.median_us / 1000,
            achieved_p99_ms=seen.p99_us / 1000,
            samples=seen.samples,
            configured_ms=self.variant.link.rtt_ms if layout.linked else None,
            floor_ms=self.floor_ms,
        )

    def _ping(self) -> Ping:
        figures = json.loads(self.asked(pings(self.variant.link.rtt_ms)))
        return Ping(figures["median_us"], figures["p99_us"], figures["samples"])
