"""Every request of a trial, a row of columns, in arrays of machine numbers; stored as Parquet."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from loadtests.reading.answers import KNOWN
from loadtests.reading.failures import told_of_failures
from scenarios.outcomes import ERROR, OUTCOMES, REASON, REASONS, UNSENT
from traffic.keys import Requests

SOURCES: Final = ("", *KNOWN)

# What is recorded of a request, as it travels: the same on every machine.
_PACKED: Final = {
    "sent_us": "<i8", "end_us": "<i8", "status": "<i2", "outcome": "<i1", "bytes": "<i4", "reason": "<i1",
    "told_by": "<i1",
}  # fmt: skip


class Recorder:
    """The rows of one trial. Times are in µs since the start of the arrival schedule."""

    def __init__(self, requests: Requests, sources: Sequence[str] = SOURCES) -> None:
        """`sources` names, by code, the headers that may tell an outcome; 0 is none."""
        count = requests.at_us.size
        self.requests = requests
        self.sources = tuple(sources)
        self._sent_us = array("q", bytes(8 * count))
        self._end_us = array("q", bytes(8 * count))
        self._status = array("h", bytes(2 * count))
        self._outcome = array("b", bytes(count))
        self._bytes = array("i", bytes(4 * count))
        self._reason = array("b", bytes(count))
        self._told_by = array("b", bytes(count))
        self.counts: Counter[int] = Counter()

    def row(
        self, index: int, sent_us: int, end_us: int, status: int, code: int, length: int, reason: int = 0,
        told_by: int = 0,
    ) -> None:  # fmt: skip
        """Record what became of a request: its outcome, the reason and the header that told, by code."""
        self._sent_us[index] = sent_us
        self._end_us[index] = end_us
        self._status[index] = status
        self._outcome[index] = code
        self._bytes[index] = length
        self._reason[index] = reason
        self._told_by[index] = told_by
        self.counts[code] += 1

    def outcomes(self) -> dict[str, int]:
        """Return the requests so far by outcome."""
        return {OUTCOMES[code]: count for code, count in sorted(self.counts.items())}

    def facts(self) -> dict[str, Any]:
        """Return what the rows say of answers as a whole, as `scenarios.facts.LoadFacts` stores it."""
        columns = self._columns()
        sent = columns["outcome"] != UNSENT
        failed = columns["outcome"] == ERROR
        reasons = columns["reason"]
        by_status = failed & ((reasons == REASON["status"]) | (reasons == REASON["redirect"]))
        failures = _counted(columns["status"][by_status], str)
        failures |= _counted(reasons[failed & ~by_status], lambda code: REASONS[code] or "unknown")
        return {
            "failures": dict(sorted(failures.items(), key=lambda one: -one[1])),
            "statuses": _counted(columns["status"][sent & (columns["status"] != 0)], str),
            "told_by": _counted(columns["told_by"][sent & ~failed], lambda code: self.sources[code]),
            "unreadable": int((reasons == REASON["Cache-Status unreadable"]).sum()),
            **told_of_failures(self.requests, np.flatnonzero(failed), columns["status"]),
        }

    def packed(self, rows: slice) -> dict[str, bytes]:
        """Return what is recorded of some rows, by column."""
        columns = self._columns()
        return {name: columns[name][rows].astype(kind).tobytes() for name, kind in _PACKED.items()}

    def unpack(self, rows: slice, packed: Mapping[str, bytes]) -> None:
        """Take over what another recorder has packed.

        Raises:
            ValueError: it is not as many rows, or not rows at all.
        """
        found = {name: np.frombuffer(packed.get(name, b""), kind) for name, kind in _PACKED.items()}
        columns = self._columns()
        if any(values.size != columns[name][rows].size for name, values in found.items()):
            raise ValueError("the rows are not as many as they should be")
        for name, words in (("outcome", OUTCOMES), ("reason", REASONS), ("told_by", self.sources)):
            codes = found[name]
            if codes.size and not 0 <= codes.min() <= codes.max() < len(words):
                raise ValueError(f"the rows have codes of {name} that do not exist")
        for name, values in found.items():
            columns[name][rows] = values
        codes, counts = np.unique(found["outcome"], return_counts=True)
        self.counts.update({code: n for code, n in zip(codes.tolist(), counts.tolist(), strict=True) if code})

    def most_under_way(self) -> int:
        """Return the most requests that were under way at once, by their rows."""
        columns = self._columns()
        sent = columns["outcome"] != 0
        begins, ends = np.sort(columns["sent_us"][sent]), np.sort(columns["end_us"][sent])
        ended = np.searchsorted(ends, begins, side="right")
        return int((np.arange(1, begins.size + 1) - ended).max(initial=0))

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Return views of the columns."""
        return {
            "sent_us": np.frombuffer(self._sent_us, dtype=np.int64),
            "end_us": np.frombuffer(self._end_us, dtype=np.int64),
            "status": np.frombuffer(self._status, dtype=np.int16),
            "outcome": np.frombuffer(self._outcome, dtype=np.int8),
            "bytes": np.frombuffer(self._bytes, dtype=np.int32),
            "reason": np.frombuffer(self._reason, dtype=np.int8),
            "told_by": np.frombuffer(self._told_by, dtype=np.int8),
        }

    def write(self, path: Path, workers: int = 1) -> None:
        """Store the requests that were sent, in the order in which they were due.

        With more than one worker, request i was worker i mod `workers`'s: a column more.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        def words(codes: NDArray[np.int8], names: Sequence[str]) -> Any:
            return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names))

        recorded = self._columns()
        code = recorded["outcome"]
        sent = code != 0
        requests = self.requests
        columns = {
            "intended_us": requests.at_us[sent],
            "sent_us": recorded["sent_us"][sent],
            "end_us": recorded["end_us"][sent],
            "status": recorded["status"][sent],
            "outcome": words(code[sent], OUTCOMES),
            "replica": requests.replicas[sent],
            "key": requests.keys[sent],
            "bytes": recorded["bytes"][sent],
            "reason": words(recorded["reason"][sent], REASONS),
            "told_by": words(recorded["told_by"][sent], self.sources),
        }
        if workers > 1:
            columns["worker"] = (np.arange(code.size) % workers).astype(np.int16)[sent]
        pq.write_table(pa.table(columns), path, compression="zstd")


def _counted(codes: NDArray[Any], word: Callable[[int], str]) -> dict[str, int]:
    found, counts = np.unique(codes, return_counts=True)
    return {word(code): n for code, n in zip(found.tolist(), counts.tolist(), strict=True)}
