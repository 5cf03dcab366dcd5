"""What `Reading` asks for, done to a log's columns: requests left out, keys rewritten. Both are counted.

Targets are looked at once each, not once a request, so filters cost little however long a log is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from traffic.logs.errors import LogError
from traffic.logs.formats.entry import shown
from traffic.logs.log import LeftOut
from traffic.logs.options import Reading

_HOST: Final = re.compile(rb"http://[^/]*")
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Selected:
    """What filters leave of a log: columns, the resources that `keys` number, what was left out, remarks."""

    columns: Columns
    resources: list[bytes]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]


def select(columns: Columns, resources: Iterable[bytes], reading: Reading) -> Selected:
    """Leave out what is not asked for, and rewrite keys. `columns["at_us"]`: µs since the epoch.

    Raises:
        LogError: nothing is left.
    """
    names = list(resources)
    if not reading.selects:
        return Selected(columns, names, (), ())
    left_out: list[LeftOut] = []
    kept = np.ones(columns["keys"].size, np.bool_)
    for why, taken in _filters(columns, names, reading):
        out = kept & ~taken
        if out.any():
            first = names[int(columns["keys"][int(out.argmax())])]
            left_out.append(LeftOut(reason=why, lines=int(out.sum()), first=shown(first)))
            kept &= taken
    if not kept.any():
        said = "; ".join(f"{kind.lines:,} × {kind.reason}, first: {kind.first}" for kind in left_out)
        raise LogError(f"no request of the log remains ({said}); adjust the options to its content")
    if left_out:
        columns = {name: column[kept] for name, column in columns.items()}
    columns, names, remarks = _rewritten(columns, names, reading)
    return Selected(columns, names, tuple(left_out), remarks)


def _filters(
    columns: Columns, names: list[bytes], reading: Reading
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each filter's name with the requests that it takes."""
    if reading.since_us is not None:
        yield f"before --since {reading.since}", columns["at_us"] >= reading.since_us
    if reading.until_us is not None:
        yield f"not before --until {reading.until}", columns["at_us"] < reading.until_us
    if reading.methods:
        wanted = np.where(columns["heads"], "HEAD" in reading.methods, "GET" in reading.methods)
        yield f"not of --method {', '.join(reading.methods)}", wanted.astype(np.bool_)
    if reading.status_ranges:
        status = columns["status"]
        within = [(status >= first) & (status <= last) for first, last in reading.status_ranges]
        yield f"not of --status {', '.join(reading.statuses)}", np.logical_or.reduce(within)
    if reading.path is not None:
        matches = np.array([reading.path.search(_parted(name)[1]) is not None for name in names], np.bool_)
        yield f"--path-regex {reading.path_regex} is not in the target", matches[columns["keys"]]


def _rewritten(
    columns: Columns, names: list[bytes], reading: Reading
) -> tuple[Columns, list[bytes], tuple[str, ...]]:
    """Renumber the remaining resources by their rewritten names."""
    asked, stripped = np.unique(columns["keys"]), _parameters(reading.strip_query)
    numbers: dict[bytes, int] = {}
    anew = np.zeros(len(names), np.int32)
    changed = 0
    for key in asked.tolist():
        called = _called(names[key], stripped, reading)
        changed += called != names[key]
        anew[key] = numbers.setdefault(called, len(numbers))
    remarks: tuple[str, ...] = ()
    if reading.strip_query or reading.rewrites:
        options = " and ".join(
            name
            for name, given in (("--strip-query", reading.strip_query), ("--key", reading.rewrites))
            if given
        )
        remarks = (f"{options} rewrote {changed:,} of {asked.size:,} keys; {len(numbers):,} are left",)
    return columns | {"keys": anew[columns["keys"]]}, list(numbers), remarks


def _called(name: bytes, stripped: re.Pattern[str] | None, reading: Reading) -> bytes:
    host, target = _parted(name)
    if stripped is not None:
        target = _without(target, stripped)
    for pattern, template in reading.rewrites:
        target = pattern.sub(template, target)
    return host + (target if target.startswith(b"/") else b"/" + target)


def _parted(name: bytes) -> tuple[bytes, bytes]:
    """Return a resource's host, as it begins its name, and its target."""
    found = _HOST.match(name)
    return (found[0], name[found.end() :]) if found else (b"", name)


def _parameters(names: Sequence[str]) -> re.Pattern[str] | None:
    """Return what matches the names of query parameters; a `*` stands for any signs."""
    alternatives = "|".join(re.escape(name).replace(r"\*", ".*") for name in names)
    return re.compile(alternatives, re.DOTALL) if names else None


def _without(target: bytes, stripped: re.Pattern[str]) -> bytes:
    """Return a target without the query parameters whose names match; the others stay as they were sent."""
    path, asks, query = target.partition(b"?")
    if not asks:
        return target
    query, hash_, fragment = query.partition(b"#")
    names = ((part, unquote_to_bytes(part.partition(b"=")[0])) for part in query.split(b"&"))
    kept = [part for part, name in names if not stripped.fullmatch(name.decode("utf-8", "surrogateescape"))]
    return path + (b"?" + b"&".join(kept) if kept else b"") + hash_ + fragment
