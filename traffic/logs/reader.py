"""Reads logs: files in, one `AccessLog` out. Whatever is left out is counted by kind."""

from __future__ import annotations

import contextlib
import gc
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from traffic.logs import filters, stored
from traffic.logs.columnar import parquet
from traffic.logs.errors import LogError
from traffic.logs.files import sources
from traffic.logs.files.unpack import blocks
from traffic.logs.formats import fields
from traffic.logs.formats.known import DESCRIBE, recognized
from traffic.logs.formats.times import Clock
from traffic.logs.lines import COLUMNS, UNREADABLE, Clients, Counted, Lines, Numbers
from traffic.logs.log import AccessLog, Blob, Facts, LeftOut, apart, spread
from traffic.logs.options import AS_IT_IS, Reading

_LOOKED_AT: Final = 65_536  # bytes, for the format


def read(names: Sequence[str | Path], reading: Reading = AS_IT_IS) -> AccessLog:
    """Read one log, which may be several files: they are put together in the order of their times.

    A name is a file's, a pattern, or `-` for standard input. Each file is read once, to its end. `reading`
    says in which format it is, and which of its requests are taken.

    Raises:
        LogError: it cannot be read, is in no format that is known, or holds no GET or HEAD request that is
            asked for.
    """
    files = sources.named([str(name) for name in names])
    if len(files) == 1 and stored.is_stored(files[0]):
        return stored.load(Path(files[0]))
    numbers, clients, clock = Numbers(), Clients(), Clock()
    with _without_collector():
        found = [_file(name, Lines(numbers, clients, clock), reading, apart=len(files) > 1) for name in files]
    remarks = [remark for one in found for remark in one.remarks]
    kept: dict[bytes, _File] = {}
    for one in found:
        if one.digest in kept and one.lines.lines:
            remarks.append(f"{one.name}: holds the same lines as {kept[one.digest].name}: read once")
        else:
            kept[one.digest] = one
    return _together(list(kept.values()), reading, remarks)


def read_once(log: Path, reading: Reading = AS_IT_IS) -> AccessLog:
    """Return a log that this process may have read already: a pipe gives what it holds but once.

    Raises:
        LogError: it cannot be used.
    """
    stamp = log.stat().st_mtime_ns if log.is_file() else 0
    return _read(str(log), stamp, reading)


@lru_cache(maxsize=4)
def _read(name: str, _: int, reading: Reading) -> AccessLog:
    return read([name], reading)


@dataclass(frozen=True)
class _File:
    """One file, read to its end."""

    name: str
    format: str
    note: str
    lines: Lines
    digest: bytes
    remarks: list[str]

    @property
    def begins_us(self) -> int:
        """When its first request came; after all others, where it has none."""
        return min(
            (int(block["at_us"].min()) for block in self.lines.blocks if block["at_us"].size), default=2**62
        )


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector out of the way: it would go through millions of objects for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _file(name: str, lines: Lines, reading: Reading, *, apart: bool) -> _File:
    """Read a file. `apart`: there are others, which may hold the same lines."""
    if parquet.is_parquet(name):
        note = parquet.take(name, lines, fields.mapping(reading.log_format or ""))
        whole = hashlib.blake2b(Path(name).read_bytes() if apart else b"", digest_size=16)
        return _File(name, "Parquet", note, lines, whole.digest(), [])
    remarks: list[str] = []
    digest, form = hashlib.blake2b(digest_size=16), None
    with sources.opened(name) as file:
        for block in blocks(name, file, remarks):
            if apart:
                digest.update(block)
            if form is None:
                form = recognized(name, block[:_LOOKED_AT].split(b"\n"), reading.log_format)
            lines.take(block, form)
    if form is None:
        raise LogError(f"{name}: is empty")
    return _File(
        name, form.name, form.note, lines, digest.digest(), [f"{name}: {remark}" for remark in remarks]
    )


def _together(files: list[_File], reading: Reading, remarks: list[str]) -> AccessLog:
    files.sort(key=lambda one: one.begins_us)  # rotated logs: those of one second stay in their order
    left_out = _left_out(one.lines.left_out for one in files)
    columns = {name: _joined(name, files) for name in COLUMNS}
    read = files[0].lines
    lines = sum(one.lines.lines for one in files)
    if not columns["at_us"].size:
        raise LogError(_nothing(files, lines, left_out))
    if np.any(np.diff(columns["at_us"]) < 0):
        order = np.argsort(columns["at_us"], kind="stable")
        for name in columns:  # one after the other: there may be hundreds of megabytes
            columns[name] = columns[name][order]
        del order
    try:
        taken = filters.select(columns, read.numbers, reading)
    except LogError as error:
        raise LogError(f"{_names(files)}: {error}") from None
    columns, at_us = taken.columns, taken.columns["at_us"]
    near = apart(at_us)
    facts = Facts(
        names=tuple(one.name for one in files),
        format=", ".join(dict.fromkeys(one.format for one in files)),
        detected=tuple(dict.fromkeys(f"{one.format}: {one.note}" for one in files)),
        lines=lines,
        requests=at_us.size,
        resources=len(taken.resources),
        left_out=tuple(sorted((*left_out, *taken.left_out), key=lambda kind: -kind.lines)),
        unreadable=sum(kind.lines for kind in left_out if kind.reason in UNREADABLE),
        first_us=int(at_us[near][0]),
        last_us=int(at_us[near][-1]),
        methods=dict(sum((one.lines.methods for one in files), Counter()).most_common()),
        statuses=_statuses(columns["status"]),
        asked_once=int((np.bincount(columns["keys"]) == 1).sum()),
        clients=int((np.bincount(columns["clients"] + 1)[1:] > 0).sum()),
        far=int(at_us.size - at_us[near].size),
        remarks=(*taken.remarks, *read.clock.remarks(), *remarks),
    )
    return _log({name: column[near] for name, column in columns.items()}, taken.resources, read.clock, facts)


def _log(columns: dict[str, NDArray[Any]], resources: list[bytes], clock: Clock, facts: Facts) -> AccessLog:
    at_us = columns["at_us"]
    if clock.fractions:
        end_us = int(at_us[-1] - at_us[0]) + 1
    else:
        end_us = int(at_us[-1] - at_us[0]) + 1_000_000  # its last second lasts a second
        columns["at_us"] = spread(at_us)
    columns["at_us"] = columns["at_us"] - at_us[0]
    return AccessLog(**columns, resources=Blob.of(resources), end_us=end_us, facts=facts)


def _joined(name: str, files: Iterable[_File]) -> NDArray[Any]:
    """Put the blocks of a column together; they are let go of."""
    blocks = [block.pop(name) for one in files for block in one.lines.blocks]
    return np.concatenate([np.empty(0, COLUMNS[name]), *blocks])


def _left_out(of_files: Iterable[dict[str, Counted]]) -> tuple[LeftOut, ...]:
    together: dict[str, Counted] = {}
    for left_out in of_files:
        for reason, counted in left_out.items():
            together.setdefault(reason, Counted(counted.first)).lines += counted.lines
    kinds = [LeftOut(reason=reason, lines=kind.lines, first=kind.first) for reason, kind in together.items()]
    return tuple(sorted(kinds, key=lambda kind: -kind.lines))


def _nothing(files: list[_File], lines: int, left_out: Sequence[LeftOut]) -> str:
    """Say why no request was found, and what to do."""
    readable = any(kind.reason not in UNREADABLE for kind in left_out)
    remedy = "check that it is an access log" + ("" if readable else f", and {DESCRIBE}")
    kinds = "; ".join(f"{kind.lines} × {kind.reason}, first: {kind.first or '(empty)'}" for kind in left_out)
    return (
        f"{_names(files)}: none of its {lines} lines is a GET or HEAD request in "
        f"{files[0].format} ({kinds}); {remedy}"
    )


def _statuses(status: NDArray[np.int16]) -> dict[str, int]:
    counts = np.bincount(status)
    return {str(found): int(counts[found]) for found in np.flatnonzero(counts).tolist()}


def _names(files: Sequence[_File]) -> str:
    return ", ".join(one.name for one in files)
