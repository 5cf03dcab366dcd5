"""Which path each request asks for, and of which replica: drawn from the seed, whatever the targets are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.model import Keys, Workload
from traffic.access_log import AccessLog, read_log
from traffic.arrivals import Times, arrivals, log_arrivals


@dataclass(frozen=True)
class Requests:
    """Every request of a trial: when (µs from the start), which key, of which replica.

    `paths` has those of the keys that are asked for; there may be millions that are not.
    """

    at_us: Times
    keys: NDArray[np.int32]
    replicas: NDArray[np.int16]
    paths: Mapping[int, str]
    span_s: float


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
        paths = {key: path_of(key) for key in np.unique(keys).tolist()}
    else:
        numbers, paths = _numbered(read_log(workload.log))
        keys = np.resize(numbers, at_us.size)  # a log shorter than the trial begins anew
    return Requests(at_us, keys, _replicas(replicas, at_us.size, seed), paths, span_s)


def _replay(workload: Workload, replicas: int, span_s: float, seed: int) -> Requests:
    """Lay out a log's requests at the log's own times; a log that is over ends the trial."""
    assert workload.log is not None, "the model sees to it"
    log = read_log(workload.log)
    numbers, paths = _numbered(log)
    at_us = log_arrivals(np.array([request.at_s for request in log.requests]), workload.speedup)
    at_us = at_us[at_us < span_s * 1e6]
    if at_us.size == numbers.size:
        span_s = min(span_s, (float(at_us[-1]) + 1) / 1e6)
    return Requests(at_us, numbers[: at_us.size], _replicas(replicas, at_us.size, seed), paths, span_s)


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


def path_of(key: int) -> str:
    """Return a path as GitHub's contents API has it."""
    return f"repos/octo/catalogue/contents/docs/{key:06d}.md"


def _replicas(replicas: int, count: int, seed: int) -> NDArray[np.int16]:
    return np.random.default_rng([seed, 3]).integers(0, replicas, count, dtype=np.int16)


def _numbered(log: AccessLog) -> tuple[NDArray[np.int32], dict[int, str]]:
    numbers: dict[str, int] = {}
    keys = [numbers.setdefault(request.path, len(numbers)) for request in log.requests]
    return np.array(keys, dtype=np.int32), {number: path for path, number in numbers.items()}
