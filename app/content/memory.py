"""What the process itself remembers: responses, if that is asked for, and what calls failed of late.

The first level is off unless asked for, since it hides Redis from who measures it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

from app.store.envelope import Envelope

MOST: Final = 4096
_MOST_BYTES: Final = 65_536  # of one body: large ones stay in Redis


class Memory:
    """The responses used last, for at most `l1_s` seconds each."""

    def __init__(self, l1_s: float) -> None:
        self._l1_s = l1_s
        self._kept: OrderedDict[bytes, tuple[float, Envelope]] = OrderedDict()

    def get(self, name: bytes, now_s: float) -> Envelope | None:
        """Return what is kept and fresh; `now_s` is the epoch.

        How long it is kept is measured: a clock that is set back makes nothing last longer.
        """
        found = self._kept.get(name)
        if found is None:
            return None
        until_s, envelope = found
        if until_s <= time.monotonic() or envelope.fresh_until_s <= now_s:
            del self._kept[name]
            return None
        self._kept.move_to_end(name)
        return envelope

    def put(self, name: bytes, envelope: Envelope, now_s: float) -> None:
        """Keep a response, no longer than it is fresh; what was used least recently goes."""
        if len(envelope.body) > _MOST_BYTES:
            return
        keep_s = min(self._l1_s, envelope.fresh_until_s - now_s)
        self._kept[name] = (time.monotonic() + keep_s, envelope)
        self._kept.move_to_end(name)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)


class Troubles:
    """Names whose calls came to nothing of late, and why, for `for_s` seconds each."""

    def __init__(self, for_s: float) -> None:
        self._for_s = for_s
        self._known: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def note(self, name: bytes, why: bytes, now_s: float) -> None:
        """Remember a call that came to nothing; of too many, the oldest is forgotten."""
        self._known[name] = (now_s + self._for_s, why)
        self._known.move_to_end(name)
        if len(self._known) > MOST:
            self._known.popitem(last=False)

    def why(self, name: bytes, now_s: float) -> bytes | None:
        """Return why a name's call came to nothing, if that was of late; `now_s` is by `note`'s clock."""
        until_s, why = self._known.get(name, (now_s, None))
        return why if now_s < until_s else None
