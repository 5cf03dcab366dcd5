"""Why each miss happened, and what one shared cache would have made of the same requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.model import Variant

# A copy missed by less than this before its end counts as expired: Redis and the load side keep
# clocks of their own, and the request travels between them.
_EDGE_US: Final = 50_000


@dataclass(frozen=True)
class Fills:
    """The misses of one trial by their cause, warm-up included, and those of a shared cache.

    cold: nobody had asked this cache for the key before. concurrent: a call for it was under way at
    this cache. expired: the copy had outlived its TTL. lost: it had not, so it was evicted or never
    stored. `shared` is what one cache for all replicas would have called, on the same requests at the
    same times and with the same TTL (the counterfactual).
    """

    cold: int
    concurrent: int
    expired: int
    lost: int
    shared: int

    @property
    def calls(self) -> int:
        """All misses."""
        return self.cold + self.concurrent + self.expired + self.lost

    @property
    def spared(self) -> int:
        """Calls that a shared cache would have spared."""
        return self.calls - self.shared


def explain(rows: pd.DataFrame, variant: Variant, fill_s: float, joined: bool) -> Fills:
    """Work out the fills of a trial from its requests.

    `fill_s` stands for the time of fills that did not happen; `joined`: concurrent misses of a replica
    make one call.
    """
    ttl_us = variant.cache.ttl * 1e6
    missed = rows[(rows["outcome"] == "miss").to_numpy()].sort_values("sent_us", kind="stable")
    at = np.zeros(len(missed), np.int64) if variant.topology == "separate" else missed["replica"].to_numpy()
    causes = dict.fromkeys(("cold", "concurrent", "expired", "lost"), 0)
    landings: dict[tuple[int, int], tuple[int, int]] = {}
    for key, cache, sent, end in zip(
        missed["key"].tolist(),
        at.tolist(),
        missed["sent_us"].tolist(),
        missed["end_us"].tolist(),
        strict=True,
    ):
        known = landings.get((key, cache))
        causes[_cause(known, sent, ttl_us)] += 1
        landings[key, cache] = _landed(known, sent, end)
    return Fills(**causes, shared=shared_calls(rows, ttl_us, fill_s * 1e6, joined))


def _cause(known: tuple[int, int] | None, sent: int, ttl_us: float) -> str:
    """Tell a miss's cause from the last fill that had landed and the last to land (µs; −1: none)."""
    if known is None:
        return "cold"
    landed, last = known
    if last <= sent:
        landed = last
    if landed >= 0 and sent < landed + ttl_us - _EDGE_US:
        return "lost"
    return "concurrent" if last > sent else "expired"


def _landed(known: tuple[int, int] | None, sent: int, end: int) -> tuple[int, int]:
    if known is None:
        return -1, end
    landed, last = known
    return (last if last <= sent else landed), max(last, end)


def shared_calls(rows: pd.DataFrame, ttl_us: float, fill_us: float, joined: bool) -> int:
    """Count the calls of one cache that all replicas share, from a cold start, on these requests."""
    order = np.lexsort((rows["sent_us"].to_numpy(), rows["key"].to_numpy()))
    times, replicas = rows["sent_us"].to_numpy()[order], rows["replica"].to_numpy()[order]
    starts = np.flatnonzero(np.diff(rows["key"].to_numpy()[order], prepend=-1))
    calls = 0
    for begin, end in zip(starts, [*starts[1:], len(times)], strict=True):
        calls += _calls_of_key(times[begin:end], replicas[begin:end], ttl_us, fill_us, joined)
    return calls


def _calls_of_key(
    times: NDArray[np.int64], replicas: NDArray[np.int16], ttl_us: float, fill_us: float, joined: bool
) -> int:
    calls, at = 0, 0
    while at < len(times):
        landed = int(np.searchsorted(times, times[at] + fill_us))
        during = slice(at, max(landed, at + 1))
        if joined:
            _, first = np.unique(replicas[during], return_index=True)
            made, last = len(first), times[during][first.max()]
        else:
            made, last = len(times[during]), times[during][-1]
        calls += made
        at = max(int(np.searchsorted(times, last + fill_us + ttl_us)), during.stop)
    return calls
