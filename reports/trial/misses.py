"""Why each miss happened, and what one shared cache would have made of the same requests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.model import Variant
from scenarios.schedule import Start
from scenarios.topologies import SEPARATE
from simulation import start as beginnings
from simulation.engine import Behaviour, Contents, Trace, replay
from simulation.kernels import NEVER
from simulation.lifetimes import stored_us
from simulation.outcomes import HIT, MISS
from traffic.keys import requests

# A copy missed by less than this before its end counts as expired: Redis and the load side keep
# clocks of their own, and the request travels between them.
_EDGE_US: Final = 50_000


# Why a request was no hit, in `Fills.shares`.
CAUSES: Final = ("cold", "expired", "concurrent", "evicted", "unstored", "lost", "other")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fills:
    """The misses of one trial by their cause, warm-up included, and those of a shared cache.

    cold: nobody had asked this cache for the key before. concurrent: a call for it was under way at this
    cache. expired: the copy had outlived its TTL, before the trial or in it. lost: it had not, so it was
    evicted or never stored. `shared` is what one cache for all replicas would have called, on the same
    requests at the same times, with the same TTL and the same kind of start (the counterfactual); None where
    it is not known what that would have held at the start.

    `shares` are of the measured requests, those that were no hit, by cause: a request that waited for a
    call is concurrent, one answered stale is expired, one that failed or went past Redis is other. Where
    Redis tells how many copies it evicted, what was lost is split by that (evicted: at most so many;
    unstored). `shared_share` is what the shared cache would not have answered at once.
    """

    cold: int
    concurrent: int
    expired: int
    lost: int
    shared: int | None
    shares: Mapping[str, float]
    shared_share: float | None

    @property
    def calls(self) -> int:
        """All misses."""
        return self.cold + self.concurrent + self.expired + self.lost

    @property
    def avoided(self) -> int | None:
        """Calls that a shared cache would have avoided."""
        return None if self.shared is None else self.calls - self.shared


@dataclass(frozen=True)
class Beginning:
    """What the caches held when a trial began; `own` and `shared`: None where that is not known.

    `own` has the contents of the variant's caches, `shared` those of one cache in their place.
    """

    start: Start = "cold"
    own: Contents | None = field(default_factory=Contents.none)
    shared: Contents | None = field(default_factory=Contents.none)

    @classmethod
    def of(cls, variant: Variant, start: Start, span_s: float, seed: int) -> Beginning:
        """Return what a variant's caches held in a trial of this length and seed."""
        if start == "cold" or not variant.layout.cached:
            return cls()
        if variant.workload.log is not None or variant.upstream.missing_ratio:
            return cls(start, None, None)  # it takes the log, or the upstream, to tell
        asked = requests(variant.workload, variant.replicas, span_s, seed)
        one = variant.model_copy(update={"topology": SEPARATE.name})
        own, shared = (beginnings.steady(of, asked, seed, lambda _: False) for of in (variant, one))
        return cls(start, own, shared)


def explain(
    rows: pd.DataFrame,
    variant: Variant,
    fill_s: float,
    joined: bool,
    measured: Mask | None = None,
    evicted: int | None = None,
    began: Beginning | None = None,
) -> Fills:
    """Work out the fills of a trial from its requests.

    The variant is as it was tried (`scenarios.tried`). `fill_s` stands for the time of fills that did not
    happen; `joined`: concurrent misses of a replica make one call. `measured` marks the rows after the
    warm-up (none: all), `evicted` is how many copies Redis evicted (none: it was not asked), `began` what the
    caches held (none: nothing).
    """
    began = began or Beginning()
    causes = _causes(rows, variant, began)
    missed = causes[(rows["outcome"] == "miss").to_numpy()]
    counts = {cause: int((missed == cause).sum()) for cause in ("cold", "concurrent", "expired", "lost")}
    counted = np.ones(len(rows), np.bool_) if measured is None else measured
    shares = {cause: float((causes[counted] == cause).mean()) for cause in CAUSES}
    if evicted is not None:
        shares["evicted"] = shares["lost"] * min(evicted / max(counts["lost"], 1), 1.0)
        shares["unstored"] = shares["lost"] - shares["evicted"]
        shares["lost"] = 0.0
    if began.shared is None:
        return Fills(**counts, shared=None, shares=shares, shared_share=None)
    cache = variant.cache
    of_one = _replayed(
        rows, cache.ttl * 1e6, fill_s * 1e6, joined, cache.lease, began.shared, _kept(rows, variant)
    )
    waits = float((of_one[counted] != HIT).mean())
    return Fills(**counts, shared=int((of_one == MISS).sum()), shares=shares, shared_share=waits)


def _causes(rows: pd.DataFrame, variant: Variant, began: Beginning) -> NDArray[np.str_]:
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
    at = _caches(missed, variant)
    landings = _landed_before(rows, variant, began, least_ttl_us)
    # In the long run a copy that is not there has expired; only a cold start, or a log, has never had one.
    never = began.start == "cold" or variant.workload.log is not None
    for place, key, cache, sent, end in zip(
        places.tolist(),
        missed["key"].tolist(),
        at.tolist(),
        missed["sent_us"].tolist(),
        missed["end_us"].tolist(),
        strict=True,
    ):
        known = landings.get((key, cache))
        if known is None:
            causes[place] = "cold" if never else "expired"
        else:
            causes[place] = _cause(known, sent, least_ttl_us)
        landings[key, cache] = _landed(known, sent, end)
    return causes


def _caches(rows: pd.DataFrame, variant: Variant) -> NDArray[np.int64]:
    """Return which cache each request asks."""
    if variant.layout.shared:
        return np.zeros(len(rows), np.int64)
    return rows["replica"].to_numpy().astype(np.int64)


def _landed_before(
    rows: pd.DataFrame, variant: Variant, began: Beginning, ttl_us: float
) -> dict[tuple[int, int], tuple[float, float]]:
    """Return when what the caches held at the start would have landed, by key and cache.

    Where the contents are not known, those keys were there that were hit before any miss; when they expire is
    not known either, so that a later miss counts as expired.
    """
    if began.own is not None:
        held = began.own
        landed_us = (held.expires_us - ttl_us).tolist()
        places = zip(held.keys.tolist(), held.caches.tolist(), strict=True)
        return dict(zip(places, zip(landed_us, landed_us, strict=True), strict=True))
    first = rows.assign(cache=_caches(rows, variant)).sort_values("sent_us", kind="stable")
    first = first.drop_duplicates(["key", "cache"])
    there = first[first["outcome"] == "hit"]
    return dict.fromkeys(zip(there["key"].tolist(), there["cache"].tolist(), strict=True), (NEVER, NEVER))


def _cause(known: tuple[float, float], sent: int, ttl_us: float) -> str:
    """Tell a miss's cause from the last fill that had landed and the last to land (µs; `NEVER`: none)."""
    landed, last = known
    if last <= sent:
        landed = last
    if sent < landed + ttl_us - _EDGE_US:
        return "lost"
    return "concurrent" if last > sent else "expired"


def _landed(known: tuple[float, float] | None, sent: int, end: int) -> tuple[float, float]:
    if known is None:
        return NEVER, end
    landed, last = known
    return (last if last <= sent else landed), max(last, end)


def _kept(rows: pd.DataFrame, variant: Variant) -> NDArray[np.int64] | None:
    """Return for how long the answer to each of a log's requests is kept; None: all for the TTL."""
    if variant.workload.log is None or "status" not in rows:
        return None
    return stored_us(rows["status"].to_numpy().astype(np.int16), variant.cache)


def shared_calls(rows: pd.DataFrame, ttl_us: float, fill_us: float, joined: bool) -> int:
    """Count the calls of one cache that all replicas share, from a cold start, on these requests."""
    return int((_replayed(rows, ttl_us, fill_us, joined, False, Contents.none()) == MISS).sum())


def _replayed(
    rows: pd.DataFrame,
    ttl_us: float,
    fill_us: float,
    joined: bool,
    lease: bool,
    held: Contents,
    kept_us: NDArray[np.int64] | None = None,
) -> NDArray[np.int8]:
    """Return what one shared cache would have made of each request (`simulation.outcomes`)."""
    order = np.argsort(rows["sent_us"].to_numpy(), kind="stable")
    at_us, keys, replicas = (rows[name].to_numpy()[order] for name in ("sent_us", "key", "replica"))
    trace = Trace(at_us, keys, replicas, None if kept_us is None else kept_us[order])
    # Times are whole µs: what lands between two of them is found from the later one on.
    behaviour = Behaviour(round(ttl_us), math.ceil(fill_us), shared=True, joined=joined, lease=lease)
    outcomes = np.empty(len(rows), np.int8)
    outcomes[order] = replay(trace, behaviour, int(replicas.max(initial=0)) + 1, held)
    return outcomes
