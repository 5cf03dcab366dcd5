"""The lease on a key: who holds it fetches what is stored there, the others wait for a bounded time.

It is Facebook's, without its stale values. (R. Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013,
section 3.2.1) Where nothing was stored nobody waits for a while: Varnish's hit-for-miss.
(https://varnish-cache.org/docs/trunk/users-guide/increasing-your-hitrate.html)

A lease may be left where it is: its holder died, or Redis did not answer when it was given back. This process
knows its own and takes it up again; for another's it waits once.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections import OrderedDict
from typing import Final, NamedTuple

from app.content.memory import MOST
from app.logs import Seldom
from app.metrics import Metrics
from app.settings import Settings
from app.store.envelope import Envelope, opened
from app.store.resp import RedisError
from app.store.values import PASS, Store
from app.upstream.calls import TIMEOUT_S

# As long as a call may take, and some more: nobody claims a key while who holds it still fetches.
LEASE_S: Final = TIMEOUT_S + 5.0
_FIRST_LOOK_S: Final = 0.005
_LAST_LOOK_S: Final = 0.05
_log = logging.getLogger(__name__)


class Turn(NamedTuple):
    """What waiting came to: the lease's token if it is held, and what another replica has stored, if so."""

    token: bytes | None
    filled: Envelope | None


class Leases:
    """The leases of one process."""

    def __init__(self, store: Store, metrics: Metrics, settings: Settings) -> None:
        self._store = store
        self._metrics = metrics
        self._wait_s = settings.lease_wait_s
        self._longest_s = settings.longest_s
        self._own = secrets.token_bytes(8)  # what the tokens of this process begin with
        self._numbers = itertools.count()
        self._seldom = Seldom(_log)
        self._held: set[bytes] = set()
        self._in_vain: OrderedDict[bytes, bytes] = OrderedDict()

    async def turn(self, key: bytes) -> Turn:
        """Wait for this process's turn to fetch what is stored under a key.

        Whatever Redis does, it lasts no longer than the wait that is allowed.
        """
        token, filled, holder = self._own + b"%d" % next(self._numbers), None, None
        pause_s, until_s = _FIRST_LOOK_S, time.monotonic() + self._wait_s
        self._held.add(token)  # before others of this process can see it in Redis
        try:
            while True:
                if await self._store.claim(key, token, LEASE_S):
                    holder = token
                filled = self._fresh(await self._store.get(key))
                if holder == token or filled is not None:
                    break
                holder = await self._store.holder(key)
                if holder == PASS or self._is_left(key, holder):
                    break
                if time.monotonic() >= until_s:
                    self._note_in_vain(key, holder)
                    break
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LAST_LOOK_S)
        except RedisError as error:
            self._metrics.redis_errors[error.reason] += 1
        except BaseException:
            self._held.discard(token)
            raise
        if holder != token:
            self._held.discard(token)
            if holder is None or not self._is_ours_and_left(holder):
                return Turn(None, filled)
            self._held.add(holder)
        return Turn(holder, filled)

    async def give_back(self, key: bytes, token: bytes, *, kept: bool) -> None:
        """Release a lease; `kept`: what was fetched is stored, so nobody should continue without it."""
        try:
            await self._store.release(key, token, kept=kept)
        except RedisError as error:  # then it ends by itself
            self._metrics.redis_errors[error.reason] += 1
            self._seldom.warning("a lease was not released", reason=error.reason, error=str(error))
        finally:
            self._held.discard(token)

    def _is_left(self, key: bytes, holder: bytes | None) -> bool:
        """Tell whether waiting is useless: the lease is of an ended call, or was waited for in vain."""
        if holder is None:
            return False
        return self._is_ours_and_left(holder) or self._in_vain.get(key) == holder

    def _is_ours_and_left(self, holder: bytes) -> bool:
        return holder.startswith(self._own) and holder not in self._held

    def _note_in_vain(self, key: bytes, holder: bytes | None) -> None:
        if holder is None:
            return
        self._in_vain[key] = holder
        self._in_vain.move_to_end(key)
        if len(self._in_vain) > MOST:
            self._in_vain.popitem(last=False)

    def _fresh(self, data: bytes | None) -> Envelope | None:
        found, now_s = opened(data) if data is not None else None, time.time()
        # What is fresh for longer than it can be was stored before a clock was set back.
        if found is None or not now_s < found.fresh_until_s <= now_s + self._longest_s:
            return None
        return found
