"""A trial's window of a log: which of its requests are sent and when, and those that come before."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from traffic.logs import answers
from traffic.logs.errors import LogError
from traffic.logs.formats.entry import shown
from traffic.logs.lines import COLUMNS
from traffic.logs.log import AccessLog, Blob, LeftOut
from traffic.logs.paths import Paths

_LEAST_S: Final = 1.0  # of a trial


@dataclass(frozen=True, eq=False)
class Part:
    """Some of a log's requests. `at_us` is in the trial's time, from the window's start; negative before."""

    at_us: NDArray[np.int64]
    keys: NDArray[np.int32]
    statuses: NDArray[np.int16]
    heads: NDArray[np.bool_]


def window(log: AccessLog, from_s: float, span_s: float, speedup: float) -> tuple[Part, float]:
    """Return the requests of a trial, and how many seconds it lasts: no longer than the log.

    Raises:
        LogError: nothing of the log is in the window, or it is over too soon.
    """
    name = ", ".join(log.facts.names)
    at_us = _since(log, from_s, speedup)
    ends_s = (log.end_us / 1e6 - from_s) / speedup
    if ends_s <= 0:
        raise LogError(
            f"{name}: workload.from is {from_s:g} s, and the log ends {log.end_us / 1e6:g} s after its first "
            "request; begin earlier"
        )
    if speedup > 1 and ends_s < min(_LEAST_S, span_s):
        fits = max(1.0, (log.end_us / 1e6 - from_s) / span_s)
        raise LogError(
            f"{name}: at {speedup:g} times its speed the log's {log.end_us / 1e6 - from_s:g} s are over in "
            f"{ends_s:.3g} s, too short to measure anything; lower workload.speedup: {fits:.3g} makes a "
            "trial "
            f"of {span_s:g} s"
        )
    taken = (at_us >= 0) & (at_us < span_s * 1e6)
    if not taken.any():
        raise LogError(
            f"{name}: no request is in the trial's window ({span_s * speedup:g} s of the log, from "
            f"{from_s:g} s on); set workload.from or schedule.duration to a time with requests"
        )
    return _part(log, at_us, taken), min(span_s, ends_s)


def history(log: AccessLog, from_s: float, speedup: float) -> Part:
    """Return the requests before a trial's window, in the trial's time: their times are negative."""
    at_us = _since(log, from_s, speedup)
    return _part(log, at_us, at_us < 0)


def own(log: AccessLog, prefix: str) -> AccessLog:
    """Return a log as it is replayed on a service whose keys come after a prefix such as `/content/`.

    Where most of a log's requests have the prefix it is that service's own log: the prefix is not given a
    second time, and requests for anything else (health checks, metrics) are left out. Any other log is
    returned as it is.
    """
    start = prefix.encode()
    below = np.array([resource.startswith(start) for resource in log.resources], np.bool_)
    taken = below[log.keys]
    if prefix in ("", "/") or taken.mean() <= 0.5:
        return log
    resources = Blob.of(b"/" + resource.removeprefix(start) for resource in log.resources)
    facts, others = log.facts, int((~taken).sum())
    if others:
        first = log.resources[int(log.keys[~taken][0])]
        kind = LeftOut(
            reason=f"not below {prefix}, in that service's own log", lines=others, first=shown(first)
        )
        facts = facts.model_copy(update={"left_out": (*facts.left_out, kind)})
    remark = (
        f"most of its requests are for {prefix}…: treated as the log of such a service and sent unchanged"
    )
    facts = facts.model_copy(update={"remarks": (*facts.remarks, remark)})
    columns = {name: getattr(log, name)[taken] for name in COLUMNS}
    return dataclasses.replace(log, **columns, resources=resources, facts=facts)


def paths(log: AccessLog, keys: NDArray[np.int32]) -> Paths:
    """Return the paths of the keys that are asked for."""
    return Paths(log.resources, np.unique(keys).tolist())


def _since(log: AccessLog, from_s: float, speedup: float) -> NDArray[np.int64]:
    since: NDArray[np.int64] = np.floor((log.at_us - from_s * 1e6) / speedup).astype(np.int64)
    return since


def _part(log: AccessLog, at_us: NDArray[np.int64], taken: NDArray[np.bool_]) -> Part:
    return Part(at_us[taken], log.keys[taken], answers.statuses(log)[taken], log.heads[taken])
