"""The requests that a prediction is for: of logs, of a scenario's log, or described by numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
from reports.prediction.described import Described
from reports.prediction.model import Span
from scenarios.model import Variant
from simulation.memory import SERVER_BYTES, body_bytes, entry_bytes
from simulation.prediction.counting import Caching
from simulation.prediction.limited import Memory
from simulation.prediction.outcomes import Source
from simulation.prediction.replays import Replays
from simulation.prediction.routing import Routing
from simulation.prediction.stream import HOUR_US, Stream
from traffic import logs
from traffic.logs import AccessLog, Reading, answers, shape, telling

_GRID_SEEDS: Final = 3
_LARGE: Final = 3_000_000  # requests from which on the grid has fewer seeds, and memory no curve
_MANY: Final = 200_000  # the same where caches evict
_DRAWN: Final = 4_000_000  # requests that are drawn at most
_PARTIAL: Final = (
    "The log is shorter than an hour, and the caches start empty. Calls are those of the log: they are not "
    "extrapolated to an hour, and not compared with a quota. Use a longer log, or --start steady with a TTL "
    "shorter than the log."
)
_DRAWN_H: Final = 4.0  # hours of counted traffic, where so many are not too many
_MOST_BYTES: Final = 16 << 30  # of files that are read
_NAMED_BYTES: Final = 8  # what a key in Redis has before the path
_SIZES: Final = 8  # of memory

Start = Literal["cold", "steady"]


@dataclass(frozen=True)
class About:
    """What is asked of any traffic. `ttl_s` is the longest of the TTLs, `replicas` the user's own number.

    Limits of memory are in bytes.
    """

    caching: Caching
    routing: Routing
    deploys_per_day: float
    start: Start
    ttl_s: float
    replicas: int
    maxmemory: int | None = None
    memory_total: int | None = None

    def memory(self, entries: NDArray[np.int64]) -> Memory:
        """Return the limits, with the bytes of each key's entry."""
        return Memory(entries, self.maxmemory, self.memory_total)


@dataclass(frozen=True)
class Traffic:
    """What is computed for: outcomes of it, and what is told of it."""

    source: Source
    grid_source: Source
    figures: dict[str, Any]
    span: Span
    rate: float
    peak_rate: float
    begins_us: int | None
    body_bytes: float
    longest_ttl_s: float
    costly: bool
    memories: tuple[int, ...]
    notes: tuple[str, ...]


def of_log(files: Sequence[str], reading: Reading, about: About, base: Variant) -> Traffic:
    """Take the requests of logs.

    Raises:
        LogError: a log cannot be used.
        UserError: it is too large, too short, or does not tell clients apart where that is needed.
    """
    _check_size(files)
    log = logs.read(files, reading)
    telling.check(log.facts)
    return of_read(log, about, base)


def of_read(log: AccessLog, about: About, base: Variant) -> Traffic:
    """Take the requests of a log that has been read; bodies whose size it does not tell are the scenario's.

    Raises:
        UserError: it is too short, or does not tell clients apart where that is needed.
    """
    stream = Stream.of_log(log)
    _check(stream, about, telling.name_of(log.facts))
    span_s, steady = stream.span_us / 1e6, about.start == "steady"
    entries, mean_bytes = _entries(log, base.upstream.body)
    memory = about.memory(entries)
    asked = (stream, about.caching, about.routing, about.deploys_per_day, steady)
    evicts = memory.binds("separate", 1) or memory.binds("sidecar", 64)
    costly = stream.at_us.size > (_MANY if evicts else _LARGE)
    skipped_us = round(about.ttl_s * 1e6) if steady else 0
    by_hour = stream.requests_by_hour(skipped_us)
    counted, hours = int(by_hour.sum()), (stream.span_us - skipped_us) / HOUR_US
    rate = counted / (hours * 3600)
    span = Span(
        kind="log",
        name=telling.name_of(log.facts),
        begins=telling.moment(log.facts.first_us),
        span_s=hours * 3600,
        requests=counted,
        not_counted=stream.at_us.size - counted,
        rate=rate,
        keys=len(log.resources),
        uncacheable=int((stream.kept == 0).sum()),
        partial_hour=not steady and hours < 1,
    )
    return Traffic(
        source=Replays(*asked, memory=memory),
        grid_source=Replays(*asked, most_seeds=1 if costly else _GRID_SEEDS, memory=memory),
        figures=shape.figures(log),
        span=span,
        rate=rate,
        peak_rate=max(rate, float(by_hour.max()) / 3600 if hours >= 1 else rate),
        begins_us=log.facts.first_us,
        body_bytes=mean_bytes,
        longest_ttl_s=0.5 * span_s if steady else 10 * span_s,
        costly=costly,
        memories=_sizes(entries, about.replicas) if stream.at_us.size <= _LARGE else (),
        notes=(
            *([_PARTIAL] if span.partial_hour else []),
            *telling.left_out(log.facts),
            *filter(None, [telling.gaps(log)]),
        ),
    )


def described(variant: Variant, about: About) -> Traffic:
    """Take Poisson traffic as a scenario's workload has it.

    Raises:
        UserError: clients are to stick, and there are none.
    """
    workload, keys = variant.workload, variant.workload.keys
    if about.routing == "sticky":
        raise UserError("--routing sticky: described traffic has no clients; give an access log, or another")
    steady = about.start == "steady"
    hours = min(_DRAWN_H, _DRAWN / workload.rate / 3600)
    span_s = about.ttl_s + hours * 3600 if steady else hours * 3600
    bodies = body_bytes(variant, keys.count, 1)
    memory = about.memory(entry_bytes(bodies))

    def drawn() -> Replays:
        stream = Stream.drawn(keys, workload.rate, span_s, 1)
        asked = (stream, about.caching, about.routing, about.deploys_per_day, steady)
        return Replays(*asked, most_seeds=_GRID_SEEDS, memory=memory, most_filling=0.5)

    source = Described(
        keys, workload.rate, about.caching, about.routing, about.deploys_per_day, about.start, memory, drawn
    )
    span = Span(
        kind="described",
        name=f"{workload.rate:g} requests a second over {keys.count:,} paths",
        begins=None,
        span_s=86_400.0,
        requests=round(workload.rate * 86_400),
        rate=workload.rate,
        keys=keys.count,
    )
    figures = {
        "rate": workload.rate,
        "keys": keys.count,
        "distribution": keys.distribution,
        "exponent": keys.exponent if keys.distribution == "zipf" else 0.0,
    }
    return Traffic(
        source=source,
        grid_source=source,
        figures=figures,
        span=span,
        rate=workload.rate,
        peak_rate=workload.rate,
        begins_us=None,
        body_bytes=float(bodies.mean()),
        longest_ttl_s=float("inf") if source.exact else about.ttl_s,
        costly=False,
        memories=(),
        notes=(),
    )


def _check(stream: Stream, about: About, name: str) -> None:
    """Refuse a log that tells nothing of what is asked."""
    if stream.span_us < 1_000_000 or stream.at_us.size < 2 or stream.at_us[-1] == stream.at_us[0]:
        raise UserError(f"{name}: all its requests come at one moment, which tells nothing of a TTL")
    if about.routing == "sticky" and stream.clients is None:
        raise UserError(f"--routing sticky: {name} does not tell who asked; choose another routing")
    span_s = stream.span_us / 1e6
    if about.start == "steady" and about.ttl_s >= 0.9 * span_s:
        raise UserError(
            f"--start steady: the first TTL ({telling.spoken(about.ttl_s)}) fills the caches, and the log is "
            f"{telling.spoken(span_s)} long; take a longer log, or --start cold"
        )


def _check_size(files: Sequence[str]) -> None:
    """Refuse what memory does not hold, before half an hour is spent on it."""
    total = sum(Path(file).stat().st_size for file in files if Path(file).is_file())
    if total > _MOST_BYTES:
        raise UserError(
            f"{files[0]}: {total / 1e9:.0f} GB are more than predict reads ({_MOST_BYTES / 1e9:.0f} GB); "
            "take some days of it, such as the newest of the rotated files"
        )


def _entries(log: AccessLog, body: int) -> tuple[NDArray[np.int64], float]:
    """Return the bytes of each key's entry in Redis, and the mean body of a request."""
    sizes = answers.sizes(log)
    known = sizes >= 0
    filled = np.where(known, sizes, np.median(sizes[known]) if known.any() else body).astype(np.int64)
    names = np.diff(log.resources.ends, prepend=0)
    fixed = entry_bytes(filled, name_bytes=0)
    return fixed + names + _NAMED_BYTES, float(filled[log.keys].mean())


def _sizes(entries: NDArray[np.int64], replicas: int) -> tuple[int, ...]:
    """Return sizes of memory, of all Redis servers together, up to what holds everything in each of them."""
    servers, everything = replicas * SERVER_BYTES, int(entries.sum())
    room = np.geomspace(everything / 16, replicas * everything, _SIZES)
    return tuple((servers + room).astype(int).tolist())
