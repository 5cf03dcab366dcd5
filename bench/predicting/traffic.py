"""The requests that a prediction is for: of logs, of a scenario's log, or described by numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from bench.errors import UserError
from reports.prediction.described import Described
from reports.prediction.model import Span
from scenarios.model import Variant
from simulation.prediction.counting import Caching
from simulation.prediction.outcomes import Source
from simulation.prediction.replays import Replays
from simulation.prediction.routing import Routing
from simulation.prediction.stream import HOUR_US, Stream
from traffic import logs
from traffic.logs import AccessLog, Reading, answers, telling

_GRID_SEEDS: Final = 3
_LARGE: Final = 3_000_000  # requests from which on the grid has fewer seeds
_DRAWN: Final = 4_000_000  # requests that are drawn at most
_DRAWN_H: Final = 4.0  # hours of counted traffic, where so many are not too many
_MOST_BYTES: Final = 16 << 30  # of files that are read

Start = Literal["cold", "steady"]


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
    notes: tuple[str, ...]


def of_log(
    files: Sequence[str],
    reading: Reading,
    caching: Caching,
    routing: Routing,
    deploys: float,
    start: Start,
    ttl_s: float,
) -> Traffic:
    """Take the requests of logs.

    Raises:
        LogError: a log cannot be used.
        UserError: it is too large, too short, or does not tell clients apart where that is needed.
    """
    _check_size(files)
    log = logs.read(files, reading)
    telling.check(log.facts)
    return of_read(log, caching, routing, deploys, start, ttl_s)


def of_read(
    log: AccessLog, caching: Caching, routing: Routing, deploys: float, start: Start, ttl_s: float
) -> Traffic:
    """Take the requests of a log that has been read.

    Raises:
        UserError: it is too short, or does not tell clients apart where that is needed.
    """
    stream = Stream.of_log(log)
    name = telling.name_of(log.facts)
    if stream.span_us < 1_000_000 or stream.at_us.size < 2 or stream.at_us[-1] == stream.at_us[0]:
        raise UserError(f"{name}: all its requests come at one moment, which tells nothing of a TTL")
    if routing == "sticky" and stream.clients is None:
        raise UserError(f"--routing sticky: {name} does not tell who asked; choose another routing")
    steady = start == "steady"
    span_s = stream.span_us / 1e6
    if steady and ttl_s >= 0.9 * span_s:
        raise UserError(
            f"--start steady: the first TTL ({telling.spoken(ttl_s)}) fills the caches, and the log is "
            f"{telling.spoken(span_s)} long; take a longer log, or --start cold"
        )
    source = Replays(stream, caching, routing, deploys, steady)
    few = 1 if stream.at_us.size > _LARGE else _GRID_SEEDS
    skipped_us = round(ttl_s * 1e6) if steady else 0
    by_hour = stream.requests_by_hour(skipped_us)
    counted, hours = int(by_hour.sum()), (stream.span_us - skipped_us) / HOUR_US
    rate = counted / (hours * 3600)
    sizes = answers.sizes(log)
    known = sizes[sizes >= 0]
    span = Span(
        kind="log",
        name=name,
        begins=telling.moment(log.facts.first_us),
        span_s=hours * 3600,
        requests=counted,
        not_counted=stream.at_us.size - counted,
        rate=rate,
        keys=len(log.resources),
        uncacheable=int((stream.kept == 0).sum()),
    )
    return Traffic(
        source,
        Replays(stream, caching, routing, deploys, steady, most_seeds=few),
        telling.figures(log.facts),
        span,
        rate,
        max(rate, float(by_hour.max()) / 3600 if hours >= 1 else rate),
        log.facts.first_us,
        float(known.mean()) if known.size else 0.0,
        0.5 * span_s if steady else 10 * span_s,
        tuple(_notes(log)),
    )


def described(
    variant: Variant, caching: Caching, routing: Routing, deploys: float, start: Start, ttl_s: float
) -> Traffic:
    """Take Poisson traffic as a scenario's workload has it.

    Raises:
        UserError: clients are to stick, and there are none.
    """
    workload = variant.workload
    if routing == "sticky":
        raise UserError("--routing sticky: described traffic has no clients; give an access log, or another")
    hours = min(_DRAWN_H, _DRAWN / workload.rate / 3600)
    span_s = ttl_s + hours * 3600 if start == "steady" else hours * 3600

    def drawn() -> Replays:
        stream = Stream.drawn(workload.keys, workload.rate, span_s, 1)
        return Replays(stream, caching, routing, deploys, start == "steady", most_seeds=_GRID_SEEDS)

    source = Described(workload.keys, workload.rate, caching, routing, deploys, start, drawn)
    keys = workload.keys
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
    body = variant.upstream.body * float(np.exp(variant.upstream.body_spread**2 / 2))
    return Traffic(source, source, figures, span, workload.rate, workload.rate, None, body, float("inf"), ())


def _check_size(files: Sequence[str]) -> None:
    """Refuse what memory does not hold, before half an hour is spent on it."""
    total = sum(Path(file).stat().st_size for file in files if Path(file).is_file())
    if total > _MOST_BYTES:
        raise UserError(
            f"{files[0]}: {total / 1e9:.0f} GB are more than predict reads ({_MOST_BYTES / 1e9:.0f} GB); "
            "take some days of it, such as the newest of the rotated files"
        )


def _notes(log: AccessLog) -> list[str]:
    return [*telling.left_out(log.facts), *filter(None, [telling.gaps(log)])]
