"""A first level in the process itself: off unless asked for, since it hides Redis from who measures it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from app.envelope import Envelope

MOST: Final = 4096
_MOST_BYTES: Final = 65_536  # of one body: large ones stay in Redis


class Memory:
    """The responses used last, for at most `l1_s` seconds each."""

    def __init__(self, l1_s: float) -> None:
        self._l1_s = l1_s
        self._kept: OrderedDict[bytes, tuple[float, Envelope]] = OrderedDict()

    def get(self, name: bytes, now_s: float) -> Envelope | None:
        """Return what is kept and fresh; `now_s` is the epoch."""
        found = self._kept.get(name)
        if found is None:
            return None
        until_s, envelope = found
        if until_s <= now_s:
            del self._kept[name]
            return None
        self._kept.move_to_end(name)
        return envelope

    def put(self, name: bytes, envelope: Envelope, now_s: float) -> None:
        """Keep a response, no longer than it is fresh; what was used least recently goes."""
        if len(envelope.body) > _MOST_BYTES:
            return
        self._kept[name] = (min(now_s + self._l1_s, envelope.fresh_until_s), envelope)
        self._kept.move_to_end(name)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
