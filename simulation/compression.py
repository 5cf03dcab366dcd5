"""What replaying a log faster than it was does to the hit ratio: in the log's time, fills become longer.

A fill takes as long in a trial as it does in production, but the log's requests come `speedup` times faster:
in the log's time a fill takes `speedup` times longer. More requests find a call under way, and what is
fetched late expires late. Everything else is compressed alike. So the same requests are replayed twice: with
fills as long as they are, and as long as they become.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scenarios.model import Variant
from scenarios.tried import speedup_of
from simulation.engine import Contents, Trace, contents_at, replay
from simulation.logs import trace_of
from simulation.outcomes import HIT
from simulation.variants import behaviour_of
from traffic.keys import Requests, history, requests

OVERHEAD_MS: Final = 2.0  # what a fill takes beside the upstream: the app, its connections, Redis
MOST_BENT: Final = 0.01
_STEPS: Final = (5.0, 2.0, 1.0)


@dataclass(frozen=True)
class Bend:
    """Hit ratios of a variant's trial: at the log's own times, and sped up."""

    own: float
    sped_up: float

    @property
    def by(self) -> float:
        """How much the hit ratio is off, as a share."""
        return self.sped_up - self.own


def bend(variant: Variant, span_s: float, seed: int, *, steady: bool) -> Bend | None:
    """Simulate a trial of a log with and without its speedup; None where there is none.

    `steady`: caches begin with what the log's earlier lines leave, else empty.

    Raises:
        LogError: the log cannot be used.
    """
    window = _Window.of(variant, span_s, seed, steady=steady)
    return None if window is None else window.bend(speedup_of(variant))


def straight(variant: Variant, span_s: float, seed: int, *, steady: bool) -> float | None:
    """Return the highest round speedup that bends the hit ratio of these requests by a point at most.

    Raises:
        LogError: the log cannot be used.
    """
    window = _Window.of(variant, span_s, seed, steady=steady)
    if window is None:
        return None
    below = (speedup for speedup in _round(speedup_of(variant)) if abs(window.bend(speedup).by) <= MOST_BENT)
    return next(below, 1.0)


@dataclass(frozen=True)
class _Window:
    """The requests of a trial in the log's own time, and what caches hold when it begins."""

    variant: Variant
    trace: Trace
    start: Contents

    @classmethod
    def of(cls, variant: Variant, span_s: float, seed: int, *, steady: bool) -> _Window | None:
        speedup = speedup_of(variant)
        if speedup <= 1 or not variant.layout.cached:
            return None
        asked = requests(variant.workload, variant.replicas, span_s, seed)
        trace, start = trace_of(_slowed(asked, speedup), variant.cache), Contents.none()
        if steady:
            before = trace_of(
                _slowed(history(variant.workload, variant.replicas, seed), speedup), variant.cache
            )
            start = contents_at(before, behaviour_of(variant, _fill_s(variant)), variant.replicas, 0)
        return cls(variant, trace, start)

    def bend(self, speedup: float) -> Bend:
        """Replay the requests with fills as they are, and as they become."""
        own, sped_up = (self._hit_ratio(_fill_s(self.variant) * times) for times in (1.0, speedup))
        return Bend(own, sped_up)

    def _hit_ratio(self, fill_s: float) -> float:
        behaviour = behaviour_of(self.variant, fill_s)
        outcomes = replay(self.trace, behaviour, self.variant.replicas, self.start)
        return float((outcomes == HIT).mean())


def _fill_s(variant: Variant) -> float:
    return (variant.upstream.latency_ms + OVERHEAD_MS) / 1000


def _slowed(asked: Requests, speedup: float) -> Requests:
    return replace(asked, at_us=np.round(asked.at_us * speedup).astype(np.int64))


def _round(below: float) -> Iterator[float]:
    """Yield the round numbers below a number, the largest first: 500, 200, 100, 50, …, 2."""
    decade = 10.0 ** np.ceil(np.log10(below))
    while decade >= 1:
        yield from (step * decade for step in _STEPS if 1 < step * decade < below)
        decade /= 10
