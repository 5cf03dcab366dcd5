"""Finds the relay's delay at which PING takes the round-trip time wanted.

The relay itself costs time, and how much depends on the machine and its minute. So the delay is found by
measuring: set it, ask PING, move it by half the difference (it acts in both directions), until the
median is near enough. The answer is kept for the run, and compared with a fresh measurement each trial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

NEAR: Final = 0.05  # of the RTT wanted: a calibration that comes so close ends
STALE: Final = 0.15  # of the RTT wanted: a delay found earlier that misses by more is sought again
LEAST_US: Final = 15.0  # what a median of PINGs scatters by in any case
_ROUNDS: Final = 8
_PINGS: Final = (50, 300)
_PING_MS: Final = 150.0


@dataclass(frozen=True)
class Ping:
    """What a series of PINGs came to, in microseconds."""

    median_us: float
    p99_us: float
    samples: int


@dataclass
class Calibration:
    """What a run knows of its relay: the floor, and the delay for each RTT (in microseconds)."""

    floor_us: float | None = None
    delays_us: dict[float, float] = field(default_factory=dict)

    def reach(
        self, wanted_us: float, set_delay: Callable[[float], None], ping: Callable[[], Ping]
    ) -> tuple[Ping, float]:
        """Set the delay for an RTT; return what PING then takes, and the relay's floor.

        What a noisy moment spoils is tried again: of all rounds the nearest counts, and is left set.
        """
        known = self.delays_us.get(wanted_us)
        if known is not None and self.floor_us is not None:
            set_delay(known)
            seen = ping()
            if abs(seen.median_us - wanted_us) <= tolerance(wanted_us, STALE):
                return seen, self.floor_us
        floor = self._floor(set_delay, ping)
        delay, seen = self._seek(wanted_us, floor, set_delay, ping)
        self.delays_us[wanted_us] = delay
        return seen, floor.median_us

    def _floor(self, set_delay: Callable[[float], None], ping: Callable[[], Ping]) -> Ping:
        """Return the best of two measurements without delay: noise only ever adds."""
        set_delay(0.0)
        floor = min((ping(), ping()), key=lambda seen: seen.median_us)
        self.floor_us = floor.median_us
        return floor

    def _seek(
        self, wanted_us: float, floor: Ping, set_delay: Callable[[float], None], ping: Callable[[], Ping]
    ) -> tuple[float, Ping]:
        best, nearest = 0.0, floor
        delay = max((wanted_us - floor.median_us) / 2, 0.0)
        near_before = False
        for _ in range(_ROUNDS if delay else 0):
            set_delay(delay)
            seen = ping()
            near = abs(seen.median_us - wanted_us) <= tolerance(wanted_us, NEAR)
            if near and near_before:
                return delay, seen  # twice in a row: no accident
            if abs(seen.median_us - wanted_us) < abs(nearest.median_us - wanted_us):
                best, nearest = delay, seen
            if not near:
                delay = max(delay + (wanted_us - seen.median_us) / 2, 0.0)
            near_before = near
        set_delay(best)
        return best, nearest


def pings(rtt_ms: float) -> int:
    """Return how many PINGs are sent at once: as many as take 150 ms, from 50 to 300."""
    return int(min(max(_PING_MS / max(rtt_ms, 0.1), _PINGS[0]), _PINGS[1]))


def miss(wanted_us: float, seen: Ping, floor_ms: float) -> str | None:
    """Say that the round trip wanted was not reached; None where it was."""
    if abs(seen.median_us - wanted_us) <= tolerance(wanted_us, STALE):
        return None
    return (
        f"a round trip of {wanted_us / 1000:g} ms was configured, but {seen.median_us / 1000:.2f} ms "
        f"achieved; the relay's floor is {floor_ms:.2f} ms"
    )


def tolerance(wanted_us: float, share: float) -> float:
    """Return how far from the RTT wanted a median may lie."""
    return max(share * wanted_us, LEAST_US)
