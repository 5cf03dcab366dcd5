"""How a trial starts: with what its caches hold, and at which moment its load begins."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bench.errors import UserError
from compose.stack import Deployment, Filling, Held, StackError
from loadtests.upstream import is_missing
from scenarios.contract import OURS
from scenarios.facts import FillingFacts, UsageFacts
from scenarios.model import Variant
from scenarios.schedule import Start
from traffic.keys import requests
from traffic.logs import LogError

if TYPE_CHECKING:
    from bench.load.local import Load

# Storing an entry takes some 50 µs, counting what everything has used so far some 10 ms a part.
_LEAD_S: Final = 0.15
_ENTRY_S: Final = 0.0001
_TRIES: Final = 4
# Why the app stores nothing, in `app.warm`'s words; so with answers of other statuses than 200 and 404.
_NEVER_STORED: Final = ("refused", "too-large", "too-long", "over")
_FROM_ITS_BEGINNING: Final = (
    "The trial began with the first line of its log, so with empty caches; start later in the log with "
    "workload.from for a steady start."
)
_REACHES_NOT_FAR_ENOUGH: Final = (
    "The log begins {:.3g} s before the trial, and responses are fresh for {:.3g} s (in the trial's time): "
    "the caches began emptier than those of a long-running service. Set workload.from to one TTL or more."
)


class ColdStart:
    """Caches that hold what they hold, and a load that begins when it is ready."""

    held = False

    def __init__(self, deployment: Deployment) -> None:
        self.used: Mapping[str, UsageFacts] = {usage.name: usage for usage in deployment.usage()}

    def begin(self, generator: Load) -> None:
        """Nothing holds the load back."""

    def started(self, origin_s: float) -> None:
        """Nothing counts from the load's start."""

    def facts(self) -> FillingFacts | None:
        """Nothing was filled."""
        return None


class SteadyStart:
    """Caches that are filled while the load generator gets ready; then both begin at one moment.

    `used` is what each part of the deployment had used by then.
    """

    held = True

    def __init__(self, deployment: Deployment, filling: Filling, entries: int) -> None:
        self._deployment = deployment
        self._entries = entries
        self._filling = filling
        self._began_s = time.monotonic()
        self._filled = FillingFacts()
        self._begin_ns = 0
        self._off_ms = self._seconds = 0.0
        self.used: Mapping[str, UsageFacts] = {}

    def begin(self, generator: Load) -> None:
        """Store everything for a moment that is near, and have the load begun at it.

        Where storing took longer than that, it is done again for a later moment.

        Raises:
            StackError: the caches cannot be filled.
        """
        self._filling.fetched()
        lead_s = _LEAD_S + generator.lead_s + _ENTRY_S * self._entries
        for _ in range(_TRIES):
            # Both clocks at once: the app's is the one, the load's the other.
            begin_s, self._begin_ns = time.time() + lead_s, time.perf_counter_ns() + round(lead_s * 1e9)
            self._filled = self._filling.store(begin_s)
            self.used = {usage.name: usage for usage in self._deployment.usage()}
            in_time = time.perf_counter_ns() < self._begin_ns - generator.lead_s * 1e9
            if in_time and not self._unexpected():
                break
            lead_s *= 2
        self._filling.close()
        if self._unexpected():
            failed = ", ".join(f"{count} × {reason}" for reason, count in self._unexpected().items())
            raise StackError(
                f"of {self._filled.wanted} entries, some could not be stored in the caches: {failed}"
            )
        self._seconds = time.monotonic() - self._began_s
        generator.begin(self._begin_ns)

    def _unexpected(self) -> dict[str, int]:
        """Return the entries that were not stored though a running service would have them."""
        return {
            reason: count
            for reason, count in self._filled.failed.items()
            if reason not in _NEVER_STORED and not reason.startswith("status-")
        }

    def started(self, origin_s: float) -> None:
        """Note when the load began, by the monotonic clock."""
        self._off_ms = (self._begin_ns / 1e9 - origin_s) * 1000

    def facts(self) -> FillingFacts | None:
        """Return what the filling came to; None where it failed."""
        if not self._seconds:
            return None
        return self._filled.model_copy(update={"seconds": self._seconds, "off_ms": self._off_ms})


@dataclass(frozen=True)
class Planned:
    """How a trial is to start, what its caches are to hold then, and what is to be said of it."""

    start: Start | Literal["unknown"]
    held: Sequence[Held] = ()
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def starting(deployment: Deployment, held: Sequence[Held]) -> Iterator[ColdStart | SteadyStart]:
    """Yield the start of a deployment whose caches are to hold this; where they hold nothing, a cold one."""
    if not held:
        yield ColdStart(deployment)
        return
    with deployment.fill(held) as filling:
        yield SteadyStart(deployment, filling, len(held))


def planned(variant: Variant, start: Start, span_s: float, seed: int) -> Planned:
    """Plan the start of a trial of `span_s` seconds: what a long-running service has of what it asks for.

    Raises:
        UserError: the workload's log cannot be used.
    """
    if start == "cold" or not variant.layout.cached:
        return Planned(start)
    from simulation import start as starts  # numba: loaded once there is something to fill

    def missing(path: str) -> bool:
        return is_missing(path, seed, variant.upstream.missing_ratio)

    try:
        asked = requests(variant.workload, variant.replicas, span_s, seed)
        contents = starts.steady(variant, asked, seed, missing)
    except LogError as error:
        raise UserError(str(error)) from error
    rows = zip(contents.caches.tolist(), contents.keys.tolist(), contents.expires_us.tolist(), strict=True)
    held = [
        Held(cache, OURS.path_of(starts.path(asked, key)), expires_us / 1e6)
        for cache, key, expires_us in rows
    ]
    if variant.workload.arrivals != "log":
        return Planned("steady", held)
    reach_s = variant.workload.from_ / variant.workload.speedup
    if reach_s == 0:
        return Planned("cold", notes=(_FROM_ITS_BEGINNING,))
    if reach_s < variant.cache.ttl:
        return Planned("steady", held, (_REACHES_NOT_FAR_ENOUGH.format(reach_s, variant.cache.ttl),))
    return Planned("steady", held)
