"""Every request of a trial, a row of columns, in arrays of machine numbers; stored as Parquet."""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np

from loadtests.keys import Requests

# What became of a request; docs/design.md says what each means.
OUTCOMES: Final = ("unsent", "hit", "miss", "delayed", "stale", "bypass", "error")
_CODE: Final = {name: code for code, name in enumerate(OUTCOMES)}
HIT, MISS, DELAYED, STALE, BYPASS, ERROR = range(1, 7)


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

    def write(self, path: Path) -> None:
        """Store the requests that were sent, in the order in which they were due."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        code = np.frombuffer(self._outcome, dtype=np.int8)
        sent = code != 0
        requests = self.requests
        columns = {
            "intended_us": requests.at_us[sent],
            "sent_us": np.frombuffer(self._sent_us, dtype=np.int64)[sent],
            "end_us": np.frombuffer(self._end_us, dtype=np.int64)[sent],
            "status": np.frombuffer(self._status, dtype=np.int16)[sent],
            "outcome": pa.DictionaryArray.from_arrays(pa.array(code[sent]), pa.array(OUTCOMES)),
            "replica": requests.replicas[sent],
            "key": requests.keys[sent],
            "bytes": np.frombuffer(self._bytes, dtype=np.int32)[sent],
        }
        pq.write_table(pa.table(columns), path, compression="zstd")
