"""Why each miss happened, and what one shared cache would have made of the same requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.model import Variant

# A copy missed by less than this before its end counts as expired: Redis and the load side keep
# clocks of their own, and the request travels between them.
_EDGE_US: Final = 50_000


# Why a request was no hit, in `Fills.shares`.
CAUSES: Final = ("cold", "expired", "concurrent", "evicted", "unstored", "lost", "other")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fills:
    """The misses of one trial by their cause, warm-up included, and those of a shared cache.

    cold: nobody had asked this cache for the key before. concurrent: a call for it was under way at
    this cache. expired: the copy had outlived its TTL. lost: it had not, so it was evicted or never
    stored. `shared` is what one cache for all replicas would have called, on the same requests at the
    same times and with the same TTL (the counterfactual).

    `shares` are of the measured requests, those that were no hit, by cause: a request that waited for a
    call is concurrent, one answered stale is expired, one that failed or went past Redis is other. Where
    Redis tells how many copies it evicted, what was lost is split by that (evicted: at most so many;
    unstored). `shared_share` is what the shared cache would not have answered at once.
    """

    cold: int
    concurrent: int
    expired: int
    lost: int
    shared: int
    shares: Mapping[str, float]
    shared_share: float

    @property
    def calls(self) -> int:
        """All misses."""
        return self.cold + self.concurrent + self.expired + self.lost

    @property
    def spared(self) -> int:
        """Calls that a shared cache would have spared."""
        return self.calls - self.shared


def explain(
    rows: pd.DataFrame,
    variant: Variant,
    fill_s: float,
    joined: bool,
    measured: Mask | None = None,
    evicted: int | None = None,
) -> Fills:
    """Work out the fills of a trial from its requests.

    `fill_s` stands for the time of fills that did not happen; `joined`: concurrent misses of a replica
    make one call. `measured` marks the rows after the warm-up (none: all), `evicted` is how many copies
    Redis evicted (none: it was not asked).
    """
    causes = _causes(rows, variant)
    missed = causes[(rows["outcome"] == "miss").to_numpy()]
    counts = {cause: int((missed == cause).sum()) for cause in ("cold", "concurrent", "expired", "lost")}
    calls, waits = _replayed(rows, variant.cache.ttl * 1e6, fill_s * 1e6, joined, variant.cache.lease)
    counted = np.ones(len(rows), np.bool_) if measured is None else measured
    shares = {cause: float((causes[counted] == cause).mean()) for cause in CAUSES}
    if evicted is not None:
        shares["evicted"] = shares["lost"] * min(evicted / max(counts["lost"], 1), 1.0)
        shares["unstored"] = shares["lost"] - shares["evicted"]
        shares["lost"] = 0.0
    return Fills(**counts, shared=int(calls.sum()), shares=shares, shared_share=float(waits[counted].mean()))


def _causes(rows: pd.DataFrame, variant: Variant) -> NDArray[np.str_]:
    """Tell why each request was no hit; hits have no cause."""
    outcome = np.asarray(rows["outcome"], dtype=np.str_)
    causes = np.full(len(rows), "other", dtype="<U10")
    causes[outcome == "hit"] = ""
    causes[outcome == "delayed"] = "concurrent"
    causes[outcome == "stale"] = "expired"
    places = np.flatnonzero(outcome == "miss")
    places = places[np.argsort(rows["sent_us"].to_numpy()[places], kind="stable")]
    missed = rows.iloc[places]
    least_ttl_us = variant.cache.ttl * (1 - variant.cache.ttl_jitter) * 1e6
    at = np.zeros(len(missed), np.int64) if variant.topology == "separate" else missed["replica"].to_numpy()
    landings: dict[tuple[int, int], tuple[int, int]] = {}
    for place, key, cache, sent, end in zip(
        places.tolist(),
        missed["key"].tolist(),
        at.tolist(),
        missed["sent_us"].tolist(),
        missed["end_us"].tolist(),
        strict=True,
    ):
        known = landings.get((key, cache))
        causes[place] = _cause(known, sent, least_ttl_us)
        landings[key, cache] = _landed(known, sent, end)
    return causes


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
    return int(_replayed(rows, ttl_us, fill_us, joined, lease=False)[0].sum())


def _replayed(
    rows: pd.DataFrame, ttl_us: float, fill_us: float, joined: bool, lease: bool
) -> tuple[Mask, Mask]:
    """Mark the requests that would have made a call of one shared cache, and those that would be no hit."""
    order = np.lexsort((rows["sent_us"].to_numpy(), rows["key"].to_numpy()))
    times, replicas = rows["sent_us"].to_numpy()[order], rows["replica"].to_numpy()[order]
    if lease:  # replicas join each other's calls as requests of one replica do
        replicas = np.zeros_like(replicas)
    starts = np.flatnonzero(np.diff(rows["key"].to_numpy()[order], prepend=-1))
    calls, waits = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(times)], strict=True):
        of_key, at = times[begin:end], begin
        while at < end:
            landed = begin + int(np.searchsorted(of_key, times[at] + fill_us))
            during = np.arange(at, max(landed, at + 1))
            made = during[np.unique(replicas[during], return_index=True)[1]] if joined else during
            calls[order[made]] = waits[order[during]] = True
            expires = times[made.max()] + fill_us + ttl_us
            at = max(begin + int(np.searchsorted(of_key, expires)), at + len(during))
    return calls, waits
