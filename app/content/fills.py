"""A fetch, and what is kept of it: once across replicas where the lease is on, revalidated where it can be.

Leases are in app/content/leases.py.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Final

from app.content.leases import LEASE_S, Leases
from app.content.memory import Troubles
from app.metrics import Metrics
from app.names import Resource
from app.settings import Settings
from app.store.envelope import Envelope, lines, tombstone, updated
from app.store.resp import RedisError
from app.store.values import Store
from app.upstream.calls import Fetched, Upstream, UpstreamError, Validator
from app.upstream.governor import QuotaError

_SPARED_S: Final = 5.0
_STORED: Final = b"; stored"
_OUTDATED: Final = b"; detail=outdated"  # another replica has stored what it asked for later
_NOT_FOUND: Final = (404, 410)
# The upstream refuses this caller, or wants no more calls, and says nothing of the resource itself: what is
# stale is better than that.
_TROUBLE: Final = (401, 403, 407, 408, 421, 425, 429)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a fetch brought. `said` is its `Cache-Status`, `outcome` the word for who made it.

    `stored`: others find it in Redis. `another`: another replica fetched it. `stale_because`: nothing better
    than an expired response was had.
    """

    envelope: Envelope
    said: bytes
    outcome: str
    stored: bool = False
    another: bool = False
    stale_because: bytes | None = None


class Fills:
    """Fetches what is missing or expired, and stores what may be stored."""

    def __init__(self, settings: Settings, metrics: Metrics, upstream: Upstream, store: Store | None) -> None:
        self._settings = settings
        self._metrics = metrics
        self._upstream = upstream
        self._store = store
        self._leases = Leases(store, metrics, settings) if settings.lease and store else None
        # A name is retried as often as if it had been fetched, and every few seconds at least.
        self._troubles = Troubles(min(settings.ttl_s, _SPARED_S))

    async def fill(self, resource: Resource, reason: str | None, expired: Envelope | None) -> Kept:
        """Bring a resource up to date.

        `reason` says why Redis could not be asked, if so; `expired` is what it had.
        """
        if self._leases is None or reason is not None:
            return await self._fetch(resource, reason, expired)
        turn, kept = await self._leases.turn(resource.key), None
        try:
            if turn.filled is not None:
                kept = Kept(turn.filled, _forward(None, expired), "miss", stored=True, another=True)
            else:
                kept = await self._fetch(resource, None, expired)
            return kept
        finally:
            if turn.token is not None:
                stored = kept is None or kept.stored
                await self._leases.give_back(resource.key, turn.token, kept=stored)

    async def _fetch(self, resource: Resource, reason: str | None, expired: Envelope | None) -> Kept:
        asked_s, began_s = time.time(), time.monotonic()
        forward, validator = _forward(reason, expired), self._validator(resource, expired, asked_s)
        try:
            fetched = await self._call(resource, validator, spare=expired is not None)
        except QuotaError as error:
            if expired is not None:
                return Kept(expired, b"", "stale", stale_because=error.why)
            return _failed(503, str(error), forward + _useless(reason, error.why), error.wait_s)
        except UpstreamError as error:
            if expired is not None and self.usable(expired):
                return self._spared(resource, expired, b"upstream-failed")
            return _failed(
                502, "the upstream gave no answer", forward + _useless(reason, str(error).encode())
            )
        troubled = fetched.status >= 500 or fetched.status in _TROUBLE
        if troubled and expired is not None and self.usable(expired):
            return self._spared(resource, expired, b"upstream-%d" % fetched.status)
        said = forward + b"; fwd-status=%d" % fetched.status
        # By one clock: the other may be set while a call is under way.
        now_s = asked_s + time.monotonic() - began_s
        envelope = enveloped(self._settings, resource, fetched, asked_s, expired)
        ttl_s = self._ttl_s(envelope.status)
        envelope = envelope._replace(fresh_until_s=now_s + ttl_s)  # its lifetime begins when it is here
        outcome = "error" if envelope.status >= 500 else "miss"
        if reason:
            said += b"; detail=" + reason.encode()
            return Kept(envelope, said, "bypass" if outcome == "miss" else outcome)
        done = await self._keep(resource, envelope, ttl_s, now_s, expired)
        return Kept(envelope, said + done, outcome, stored=done in (_STORED, _OUTDATED))

    async def _call(self, resource: Resource, validator: Validator | None, *, spare: bool) -> Fetched:
        """Fetch a resource; a 304 that answers no condition of ours is a failure."""
        fetched = await self._upstream.get(resource, validator, spare=spare)
        if fetched.status == 304 and (validator is None or fetched.target != validator.target):
            raise UpstreamError("upstream-304")
        return fetched

    def _validator(self, resource: Resource, expired: Envelope | None, now_s: float) -> Validator | None:
        """Return what a conditional call names, and where that means something, if one is wanted."""
        if expired is None or now_s >= expired.fresh_until_s + self._settings.revalidate_s:
            return None
        etag = expired.header(b"etag")
        return Validator(etag, expired.source.decode() or resource.target) if etag else None

    def usable(self, expired: Envelope, for_s: float = 0.0) -> bool:
        """Tell whether an expired response is better than none, now and for so many seconds more."""
        return time.time() + for_s < expired.fresh_until_s + self._settings.stale_if_error_s

    def spare(self, resource: Resource, why: bytes) -> None:
        """Note that a call came to nothing; it is not made again for a while, where it need not be."""
        self._troubles.note(resource.key, why, time.monotonic())

    def spared(self, resource: Resource, expired: Envelope) -> bytes | None:
        """Return why an expired response should be served without a call, if so."""
        return self._troubles.why(resource.key, time.monotonic()) if self.usable(expired) else None

    def _spared(self, resource: Resource, expired: Envelope, why: bytes) -> Kept:
        self.spare(resource, why)
        return Kept(expired, b"", "stale", stale_because=why)

    async def _keep(
        self, resource: Resource, envelope: Envelope, ttl_s: float, now_s: float, expired: Envelope | None
    ) -> bytes:
        """Store what may be stored, and let go of what it puts an end to; say what was done, or why not."""
        store, status = self._store, envelope.status
        keep = ttl_s > 0 and len(envelope.body) <= self._settings.most_bytes
        # What has moved or gone must not come back when the upstream fails next.
        over = expired is not None and not keep and status < 500 and status not in _TROUBLE
        if store is None or not (keep or over):
            return b""
        data, keep_s = envelope.pack(), ttl_s + grace_s(self._settings, envelope)
        if over:
            data, keep_s = tombstone(envelope.asked_s), LEASE_S  # as long as an older call may take to come
        try:
            stored = await store.put(resource.key, data, keep_s, now_s)
        except RedisError as error:
            self._metrics.redis_errors[error.reason] += 1
            return b"; detail=" + error.reason.encode()
        if not stored:
            return _OUTDATED
        return _STORED if keep else b""

    def _ttl_s(self, status: int) -> float:
        """Return for how long a response is fresh: spread a little, so that what came together goes apart."""
        ttl_s = lifetime_s(self._settings, status)
        return ttl_s * (1 + self._settings.ttl_jitter * random.uniform(-1, 1)) if status == 200 else ttl_s


def enveloped(
    settings: Settings, resource: Resource, fetched: Fetched, asked_s: float, expired: Envelope | None = None
) -> Envelope:
    """Return what was fetched as it may be stored, expired at once: `lifetime_s` says for how long it is not.

    `asked_s` is when the call began, `expired` what a 304 says is still good.
    """
    source = b"" if fetched.target == resource.target else fetched.target.encode()
    status, head, body = fetched.status, fetched.head, fetched.body
    if status == 304 and expired is not None:
        status, head, body = expired.status, updated(expired.head, head), expired.body
    elif settings.vary:
        head += lines([(b"vary", ", ".join(settings.vary).encode())])
    generated_s = asked_s - fetched.age_s  # what is under way ages, too (RFC 9111, section 4.2.3)
    return Envelope(status, asked_s, generated_s, generated_s, head, body, source)


def lifetime_s(settings: Settings, status: int) -> float:
    """Return for how long a response of a status is fresh on average; 0: it is not stored."""
    if status == 200:
        return settings.ttl_s
    return settings.negative_ttl_s if status in _NOT_FOUND else 0.0


def grace_s(settings: Settings, envelope: Envelope) -> float:
    """Return for how long a response is still of use, and so stored, once it has expired."""
    if envelope.status != 200:
        return 0.0
    revalidate_s = settings.revalidate_s if envelope.header(b"etag") else 0.0
    return max(revalidate_s, settings.stale_while_revalidate_s, settings.stale_if_error_s)


def _forward(reason: str | None, expired: Envelope | None) -> bytes:
    """Say why a request went to the upstream (RFC 9211, section 2.2)."""
    return b"redis; fwd=" + (b"bypass" if reason else b"stale" if expired else b"uri-miss")


def _useless(reason: str | None, why: bytes) -> bytes:
    """Say that the upstream was of no use; and why Redis was not, if so."""
    return b"; detail=%b; why=%b" % (reason.encode(), why) if reason else b"; detail=" + why


def _failed(status: int, detail: str, said: bytes, wait_s: float | None = None) -> Kept:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json")]
    if wait_s is not None:
        headers.append((b"retry-after", b"%d" % (wait_s + 1)))
    now_s = time.time()
    return Kept(Envelope(status, now_s, now_s, now_s, lines(headers), body), said, "error")
