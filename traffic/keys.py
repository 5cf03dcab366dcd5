"""Which path each request asks for, and of which replica: drawn from the seed, whatever the targets are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scenarios.contract import OURS
from scenarios.model import Keys, Workload
from traffic import logs
from traffic.arrivals import Times, arrivals
from traffic.logs import AccessLog, answers, replay, stored
from traffic.paths import PathsError, read_paths


@dataclass(frozen=True)
class Requests:
    """Every request of a trial: when (µs from the start), which key, of which replica.

    `paths` has those of the keys that are asked for; there may be millions that are not. A log tells more:
    `statuses`, what the upstream answers to the call that each request makes if it is no hit; `heads`, which
    of them are HEAD requests. Both are None where the requests come from no log.
    """

    at_us: Times
    keys: NDArray[np.int32]
    replicas: NDArray[np.int16]
    paths: Mapping[int, str]
    span_s: float
    statuses: NDArray[np.int16] | None = None
    heads: NDArray[np.bool_] | None = None


def requests(workload: Workload, replicas: int, span_s: float, seed: int) -> Requests:
    """Lay out all requests of a trial of `span_s` seconds.

    Raises:
        LogError: the workload's log cannot be used.
    """
    if workload.arrivals == "log":
        return _replay(workload, replicas, span_s, seed)
    at_us = arrivals(workload.arrivals, workload.rate, span_s, seed)
    if workload.log is None:
        keys = draw(workload.keys, at_us.size, seed)
        named = _named(workload.keys)
        paths = {key: named(key) for key in np.unique(keys).tolist()}
        return Requests(at_us, keys, _replicas(replicas, at_us.size, seed), paths, span_s)
    log = read(workload.log)
    whole, _ = replay.window(log, workload.from_, log.end_us / 1e6, 1.0)
    place = np.arange(at_us.size) % whole.keys.size  # a log shorter than the trial is repeated
    keys = whole.keys[place]
    return Requests(
        at_us,
        keys,
        _replicas(replicas, at_us.size, seed),
        replay.paths(log, keys),
        span_s,
        answers.usual(log)[keys],
        whole.heads[place],
    )


def history(workload: Workload, replicas: int, seed: int, back_s: float = 0.0) -> Requests:
    """Return what a log's earlier lines ask for, before a trial's window.

    `at_us` is negative, in the trial's time; `span_s` is how long it lasts. Keys have the same numbers as in
    `requests`. A log that is taken in its order at another rate goes round: `back_s` is how far back.
    Workloads without a log have none.

    Raises:
        LogError: the workload's log cannot be used.
    """
    if workload.log is None:
        none = np.empty(0, np.int64)
        return Requests(none, none.astype(np.int32), none.astype(np.int16), {}, 0.0)
    log = read(workload.log)
    if workload.arrivals != "log":
        return _round_before(log, workload, replicas, seed, back_s)
    part = replay.history(log, workload.from_, workload.speedup)
    # Another stream than the trial's own, so that these do not move those.
    asked = np.random.default_rng([seed, 4]).integers(0, replicas, part.keys.size, dtype=np.int16)
    paths = replay.paths(log, part.keys)
    return Requests(
        part.at_us, part.keys, asked, paths, workload.from_ / workload.speedup, part.statuses, part.heads
    )


def _round_before(log: AccessLog, workload: Workload, replicas: int, seed: int, back_s: float) -> Requests:
    assert workload.arrivals != "log"
    whole, _ = replay.window(log, workload.from_, log.end_us / 1e6, 1.0)
    # Other streams than the trial's own.
    after_us = arrivals(workload.arrivals, workload.rate, back_s, seed + 2**32)
    gap_us = round(1e6 / workload.rate) if workload.arrivals == "constant" else 1
    at_us = -gap_us - after_us[::-1]
    keys = whole.keys[np.arange(-at_us.size, 0) % whole.keys.size]
    asked = np.random.default_rng([seed, 4]).integers(0, replicas, keys.size, dtype=np.int16)
    return Requests(at_us, keys, asked, replay.paths(log, keys), back_s, answers.usual(log)[keys])


def read(log: Path) -> AccessLog:
    """Return a workload's log: a stored one as it is replayed, any other as it is replayed on our own app.

    Raises:
        LogError: it cannot be used.
    """
    found = logs.read_once(log)
    return found if stored.is_stored(str(log)) else replay.own(found, OURS.prefix)


def _replay(workload: Workload, replicas: int, span_s: float, seed: int) -> Requests:
    """Lay out a log's requests at the log's own times; a log that is over ends the trial."""
    assert workload.log is not None, "the model sees to it"
    log = read(workload.log)
    part, span_s = replay.window(log, workload.from_, span_s, workload.speedup)
    asked = _replicas(replicas, part.keys.size, seed)
    paths = replay.paths(log, part.keys)
    return Requests(part.at_us, part.keys, asked, paths, span_s, part.statuses, part.heads)


def draw(keys: Keys, count: int, seed: int) -> NDArray[np.int32]:
    """Return `count` key numbers; key 0 is the one most asked for."""
    random = np.random.default_rng([seed, 2])
    if keys.distribution == "uniform":
        return random.integers(0, keys.count, count, dtype=np.int32)
    cumulated = np.cumsum(shares(keys))
    return np.minimum(np.searchsorted(cumulated, random.random(count)), keys.count - 1).astype(np.int32)


def shares(keys: Keys) -> NDArray[np.float64]:
    """Return each key's share of the requests, by its number."""
    if keys.distribution == "uniform":
        return np.full(keys.count, 1 / keys.count)
    weights = np.arange(1, keys.count + 1, dtype=np.float64) ** -keys.exponent
    return np.asarray(weights / weights.sum())


def first_path(workload: Workload, prefix: str = OURS.prefix) -> str:
    """Return a path that the workload asks for: the one most asked for, or the first of its log.

    `prefix`: what comes before the key in the targets of the service that a log is replayed on.

    Raises:
        LogError: the workload's log or file of paths cannot be used.
    """
    if workload.log is not None:
        log = replay.own(logs.read_once(workload.log), prefix)
        return replay.paths(log, log.keys[:1])[int(log.keys[0])]
    return _named(workload.keys)(0)


def _named(keys: Keys) -> Callable[[int], str]:
    """Return what names a key: the file's own path, or one that is made up."""
    if keys.file is None:
        return path_of
    paths = read_paths(keys.file)
    if len(paths) < keys.count:
        raise PathsError(
            f"{keys.file}: holds {len(paths):,} paths, and workload.keys.count asks for {keys.count:,}; set "
            f"it to {len(paths)}, or name the file with --keys, which does"
        )
    return paths.__getitem__


def path_of(key: int) -> str:
    """Return a path as GitHub's contents API has it."""
    return f"repos/octo/catalogue/contents/docs/{key:06d}.md"


def _replicas(replicas: int, count: int, seed: int) -> NDArray[np.int16]:
    return np.random.default_rng([seed, 3]).integers(0, replicas, count, dtype=np.int16)
