"""What is answered from the cache, what is fetched, and what is kept: docs/app.md tells it in words.

Every answer carries `Cache-Status` (RFC 9211) and `Age` (RFC 9111), and is counted under one outcome.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Final

from app.answers import Answer, Look
from app.content.fills import Fills, Kept
from app.content.flight import Flights
from app.content.memory import Memory
from app.metrics import Metrics
from app.names import Resource
from app.settings import Settings
from app.store.envelope import FRESH_UNTIL_S, Envelope, Fields, fields
from app.store.resp import RedisError
from app.store.values import Store, of_another_type
from app.upstream.calls import SMALL_BYTES, Upstream

_log = logging.getLogger(__name__)
_PATIENCE_S: Final = 1.0  # with the upstream, where something stale is at hand


class Cache:
    """Looks, fetches, keeps."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._counts = metrics.requests
        self._upstream = Upstream(settings, metrics)
        self.store = Store(settings, metrics) if settings.cached else None
        self._l1 = settings.l1_s > 0
        self._longest_s = settings.longest_s
        self._memory = Memory(settings.l1_s)
        self._fills = Fills(settings, metrics, self._upstream, self.store)
        self._flights: Flights[Kept] = Flights(_is_small)

    def ask(self, resource: Resource, tell: Callable[[Look | Answer], None]) -> bool:
        """Look a resource up with one question at most, and tell the result in a later turn of the loop.

        False, and nothing is told, where it takes more or less than that: `look` does whatever it takes.
        """
        if self.store is None:
            return False
        if (remembered := self._remembered(resource.key)) is not None:
            asyncio.get_running_loop().call_soon(tell, remembered)
            return True
        landed, asked = self._flights.landed, self.store.asked(resource.key)
        if asked is None:
            return False
        asked.add_done_callback(lambda answered: tell(self._came(resource.key, landed, answered)))
        return True

    async def look(self, resource: Resource) -> Look | Answer:
        """Look a resource up; a hit is answered at once."""
        landed = self._flights.landed
        if self.store is None:
            return Look(landed, reason="no-cache")
        if (remembered := self._remembered(resource.key)) is not None:
            return remembered
        asked = self.store.asked(resource.key)
        try:
            data = await (self.store.get(resource.key) if asked is None else asked)
        except RedisError as error:
            return Look(landed) if of_another_type(error) else self._unasked(landed, error)
        return self._judged(resource.key, landed, data)

    async def answer(self, resource: Resource, look: Look) -> Answer:
        """Answer what was no hit: stale while it is refreshed, or what the fetch brings."""
        now_s, found, fills = time.time(), look.found, self._fills

        def fill() -> Coroutine[None, None, Kept]:
            return fills.fill(resource, look.reason, found)

        if found is not None:
            why = fills.spared(resource, found)
            if why is None and now_s < found.fresh_until_s + self._settings.stale_while_revalidate_s:
                self._flights.begin(resource.key, look.landed, fill)
                why = b"revalidating"
            if why is not None:
                return self._served_stale(found, why)
        if not self._settings.single_flight or self.store is None:
            return self._brought(await fill(), False, time.time())
        patient = found is None or not fills.usable(found, _PATIENCE_S)
        try:
            async with asyncio.timeout(None if patient else _PATIENCE_S) as patience:
                kept, joined = await self._flights.fly(resource.key, look.landed, fill)
        except TimeoutError:
            if found is None or not patience.expired():
                raise
            fills.spare(resource, b"upstream-slow")
            return self._served_stale(found, b"upstream-slow")
        return self._brought(kept, joined, time.time())

    async def close(self) -> None:
        """End what is under way, and close all connections."""
        await self._flights.close()
        await self._upstream.close()
        if self.store:
            await self.store.close()

    def _remembered(self, key: bytes) -> Answer | None:
        """Answer from the process's own memory, where it is used and has the key."""
        if not self._l1 or (found := self._memory.get(key, now_s := time.time())) is None:
            return None
        self._counts["hit"] += 1
        return _hit(found, now_s, b"l1; hit; ttl=%d")

    def _came(self, key: bytes, landed: int, answered: asyncio.Future[bytes | None]) -> Look | Answer:
        try:
            return self._judged(key, landed, answered.result())
        except RedisError as error:
            return Look(landed) if of_another_type(error) else self._unasked(landed, error)
        except (Exception, asyncio.CancelledError) as error:
            # Nobody answers a client that is not told: better no cache than no answer.
            _log.exception("what redis answered cannot be read")
            return self._unasked(landed, RedisError("redis-error", str(error)))

    def _unasked(self, landed: int, error: RedisError) -> Look:
        self._metrics.redis_errors[error.reason] += 1
        return Look(landed, reason=error.reason)

    def _judged(self, key: bytes, landed: int, data: bytes | None) -> Look | Answer:
        """Say what Redis's answer comes to."""
        if data is None or (found := fields(data)) is None:
            if self.store is not None and not isinstance(data, bytes | None):
                return self._unasked(landed, self.store.garbled())
            return Look(landed)  # somebody else's bytes will be overwritten
        now_s = time.time()
        fresh_until_s = found[FRESH_UNTIL_S]
        if fresh_until_s <= now_s:
            return Look(landed, Envelope._make(found))
        if fresh_until_s > now_s + self._longest_s:
            return Look(landed, Envelope._make(found)._replace(fresh_until_s=now_s))  # a clock was set back
        if self._l1:
            self._memory.put(key, Envelope._make(found), now_s)
        self._counts["hit"] += 1
        return _hit(found, now_s, b"redis; hit; ttl=%d")

    def _served_stale(self, found: Envelope, why: bytes) -> Answer:
        self._counts["stale"] += 1
        now_s = time.time()
        over_s = int(now_s - found.fresh_until_s)
        return _answer(found, now_s, b"redis; hit; ttl=%d; detail=stale; why=%b" % (-over_s, why))

    def _brought(self, kept: Kept, joined: bool, now_s: float) -> Answer:
        """Answer with what a fetch brought, to who made it or to who joined it."""
        envelope = kept.envelope
        if kept.stale_because is not None:
            return self._served_stale(envelope, kept.stale_because)
        outcome, said = kept.outcome, kept.said
        if joined or kept.another:
            said += b"; collapsed"
            outcome = "delayed" if outcome in ("miss", "bypass") else outcome
        self._counts[outcome] += 1
        return _answer(envelope, now_s, said)


def _is_small(kept: Kept) -> bool:
    return len(kept.envelope.body) <= SMALL_BYTES


def _hit(found: Fields, now_s: float, said: bytes) -> Answer:
    # As `_answer` does, in one step: this is what every hit takes.
    status, _, generated_s, fresh_until_s, head, body, _ = found
    said %= fresh_until_s - now_s
    if status != 200:
        said += b"; detail=negative"
    age_s = int(now_s - generated_s)
    return tuple.__new__(Answer, (status, head, body, max(0, age_s), said))


def _answer(envelope: Envelope, now_s: float, said: bytes) -> Answer:
    age_s = max(0, int(now_s - envelope.generated_s))  # RFC 9111, section 4.2.3
    return Answer(envelope.status, envelope.head, envelope.body, age_s, said)
