"""What is answered from the cache, what is fetched, and what is kept: docs/app.md tells it in words.

Every answer carries `Cache-Status` (RFC 9211) and `Age` (RFC 9111), and is counted under one outcome.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from app.envelope import Envelope, Headers
from app.fills import Fills, Kept
from app.flight import Flights
from app.memory import Memory
from app.metrics import Metrics
from app.settings import Settings
from app.store import Store, StoreError
from app.upstream import Upstream


class Look(NamedTuple):
    """What a look in the cache came to: an expired envelope; nothing; or why it could not be asked.

    `began_s` is when it began, by `time.perf_counter`.
    """

    began_s: float
    found: Envelope | None = None
    reason: str | None = None


class Answer(NamedTuple):
    """A response, and the word under which it is counted. `said` goes into `Cache-Status`."""

    status: int
    headers: Headers
    body: bytes
    said: bytes
    age_s: int
    outcome: str

    @property
    def asgi_headers(self) -> list[tuple[bytes, bytes]]:
        """All headers, as ASGI sends them."""
        return [
            *self.headers,
            (b"content-length", b"%d" % len(self.body)),
            (b"age", b"%d" % self.age_s),
            (b"cache-status", self.said),
        ]


class Cache:
    """Looks, fetches, keeps."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._upstream = Upstream(settings, metrics)
        self.store = Store(settings) if settings.cached else None
        self._l1 = settings.l1_s > 0
        self._memory = Memory(settings.l1_s)
        self._fills = Fills(settings, metrics, self._upstream, self.store)
        self._flights: Flights[Kept] = Flights()

    async def look(self, name: bytes) -> Look | Answer:
        """Look a name up; a hit is answered at once."""
        began_s = time.perf_counter()
        if self.store is None:
            return Look(began_s, reason="no-cache")
        if self._l1 and (found := self._memory.get(name, time.time())) is not None:
            return self._hit(found, time.time(), b"l1; hit; ttl=%d")
        try:
            found = await self.store.get(name)
        except StoreError as error:
            self._metrics.redis_errors[error.reason] += 1
            return Look(began_s, reason=error.reason)
        self._metrics.redis_seconds.observe(time.perf_counter() - began_s)
        now_s = time.time()
        if found is None or found.fresh_until_s <= now_s:
            return Look(began_s, found)
        if self._l1:
            self._memory.put(name, found, now_s)
        return self._hit(found, now_s, b"redis; hit; ttl=%d")

    async def answer(self, name: bytes, look: Look) -> Answer:
        """Answer what was no hit: stale while it is fetched anew, or what the fetch brings."""
        now_s, found = time.time(), look.found
        if found is not None and now_s < found.fresh_until_s + self._settings.stale_while_revalidate_s:
            self._flights.begin(name, lambda: self._fills.fill(name, look.reason, found))
            return self._counted(_stale(found, now_s, b"revalidating"))
        if self._settings.single_flight and self.store is not None:
            kept, joined = await self._flights.fly(
                name, look.began_s, lambda: self._fills.fill(name, look.reason, found)
            )
        else:
            kept, joined = await self._fills.fill(name, look.reason, found), False
        return self._counted(_brought(kept, joined, time.time()))

    async def close(self) -> None:
        """End what is under way, and close all connections."""
        await self._flights.close()
        await self._upstream.close()
        if self.store:
            await self.store.close()

    def _hit(self, found: Envelope, now_s: float, said: bytes) -> Answer:
        status, generated_s, fresh_until_s, headers, body = found
        said %= fresh_until_s - now_s
        if status != 200:
            said += b"; detail=negative"
        self._metrics.requests["hit"] += 1
        return Answer(status, headers, body, said, max(int(now_s - generated_s), 0), "hit")

    def _counted(self, answer: Answer) -> Answer:
        self._metrics.requests[answer.outcome] += 1
        return answer


def _stale(found: Envelope, now_s: float, why: bytes) -> Answer:
    over_s = int(now_s - found.fresh_until_s)
    said = b"redis; hit; ttl=%d; detail=stale; why=%b" % (-over_s, why)
    return Answer(found.status, found.headers, found.body, said, found.age_s(now_s), "stale")


def _brought(kept: Kept, joined: bool, now_s: float) -> Answer:
    """Answer with what a fetch brought, to who made it or to who joined it."""
    envelope = kept.envelope
    if kept.stale_because is not None:
        return _stale(envelope, now_s, kept.stale_because)
    outcome, said = kept.outcome, kept.said
    if joined or kept.another:
        said += b"; collapsed"
        outcome = "delayed" if outcome in ("miss", "bypass") else outcome
    return Answer(envelope.status, envelope.headers, envelope.body, said, envelope.age_s(now_s), outcome)
