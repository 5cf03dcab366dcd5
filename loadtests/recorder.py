"""Every request of a trial, a row of columns, in arrays of machine numbers; stored as Parquet."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from traffic.keys import Requests

# What became of a request; docs/design.md says what each means.
OUTCOMES: Final = ("unsent", "hit", "miss", "delayed", "stale", "bypass", "error")
_CODE: Final = {name: code for code, name in enumerate(OUTCOMES)}
HIT, MISS, DELAYED, STALE, BYPASS, ERROR = range(1, 7)
# What is recorded of a request, as it travels: the same on every machine.
_PACKED: Final = {"sent_us": "<i8", "end_us": "<i8", "status": "<i2", "outcome": "<i1", "bytes": "<i4"}


def outcome(status: int, head: bytes) -> int:
    """Return the code of an answer's outcome, from its status and its head in lower case (RFC 9211)."""
    if status >= 500 or status == 0:
        return ERROR
    at = head.find(b"\r\ncache-status:")
    if at < 0:
        return ERROR
    said = head[at + 15 : head.index(b"\r\n", at + 2)]
    if b"; hit" in said:
        return STALE if b"detail=stale" in said else HIT
    if b"; collapsed" in said:
        return DELAYED
    if b"fwd=bypass" in said:
        return BYPASS
    return MISS if b"fwd=" in said else ERROR


class Recorder:
    """The rows of one trial. Times are in µs since the start of the arrival schedule."""

    def __init__(self, requests: Requests) -> None:
        count = requests.at_us.size
        self.requests = requests
        self._sent_us = array("q", bytes(8 * count))
        self._end_us = array("q", bytes(8 * count))
        self._status = array("h", bytes(2 * count))
        self._outcome = array("b", bytes(count))
        self._bytes = array("i", bytes(4 * count))
        self.counts: Counter[int] = Counter()

    def row(self, index: int, sent_us: int, end_us: int, status: int, code: int, length: int) -> None:
        """Record what became of a request."""
        self._sent_us[index] = sent_us
        self._end_us[index] = end_us
        self._status[index] = status
        self._outcome[index] = code
        self._bytes[index] = length
        self.counts[code] += 1

    def outcomes(self) -> dict[str, int]:
        """Return the requests so far by outcome."""
        return {OUTCOMES[code]: count for code, count in sorted(self.counts.items())}

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
        if found["outcome"].size and not 0 <= found["outcome"].min() <= found["outcome"].max() <= ERROR:
            raise ValueError("the rows have outcomes that there are not")
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
        }

    def write(self, path: Path, workers: int = 1) -> None:
        """Store the requests that were sent, in the order in which they were due.

        With more than one worker, request i was worker i mod `workers`'s: a column more.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        recorded = self._columns()
        code = recorded["outcome"]
        sent = code != 0
        requests = self.requests
        columns = {
            "intended_us": requests.at_us[sent],
            "sent_us": recorded["sent_us"][sent],
            "end_us": recorded["end_us"][sent],
            "status": recorded["status"][sent],
            "outcome": pa.DictionaryArray.from_arrays(pa.array(code[sent]), pa.array(OUTCOMES)),
            "replica": requests.replicas[sent],
            "key": requests.keys[sent],
            "bytes": recorded["bytes"][sent],
        }
        if workers > 1:
            columns["worker"] = (np.arange(code.size) % workers).astype(np.int16)[sent]
        pq.write_table(pa.table(columns), path, compression="zstd")
