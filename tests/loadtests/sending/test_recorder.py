"""What is kept of each request."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtests.reading.answers import Reader
from loadtests.sending.recorder import Recorder
from scenarios.outcomes import ERROR, HIT, MISS, OUTCOMES, REASON, UNKNOWN
from traffic.keys import Requests


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (200, "redis; hit; ttl=4", "hit"),
        (200, "Redis; Hit", "hit"),
        (404, "redis; hit; ttl=4", "hit"),
        (200, "redis; hit; ttl=-3; detail=stale-while-revalidate", "stale"),
        (200, "redis; fwd=stale; fwd-status=200; stored", "miss"),
        (200, "redis; fwd=uri-miss; fwd-status=200; stored", "miss"),
        (200, "redis; fwd=uri-miss; collapsed; fwd-status=200", "delayed"),
        (200, "redis; fwd=uri-miss; fwd-status=200; collapsed", "delayed"),
        (200, "redis; fwd=bypass; fwd-status=200; detail=redis-timeout", "bypass"),
        (404, "redis; fwd=uri-miss; fwd-status=404", "miss"),
        (502, "redis; fwd=uri-miss; fwd-status=502", "error"),
        (500, "redis; hit", "error"),
        (0, "redis; hit", "error"),
        (200, "", "unknown"),
        (200, None, "unknown"),
    ],
)
def test_the_cache_s_own_words_say_what_became_of_a_request(status, said, expected) -> None:
    header = "" if said is None else f"Cache-Status: {said}\r\n"
    head = f"HTTP/1.1 {status} X\r\nDate: now\r\n{header}Content-Length: 3\r\n".lower().encode()
    assert OUTCOMES[Reader().read(status, head).outcome] == expected


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(
        Requests(
            at_us=np.array([0, 50, 2_000_000_000_000]),
            keys=np.array([7, 7, 2_000_000], dtype=np.int32),
            replicas=np.array([0, 1, 63], dtype=np.int16),
            paths={7: "a", 2_000_000: "b"},
            span_s=1.0,
        )
    )


def test_rows_are_stored_in_the_order_in_which_they_were_due(recorder, tmp_path) -> None:
    recorder.row(2, 2_000_000_000_001, 2_000_000_000_900, 200, MISS, 50_000_000, told_by=1)
    recorder.row(0, 3, 400, 200, HIT, 5)
    recorder.row(1, 51, 90, 0, ERROR, 0, REASON["connection reset"])
    recorder.write(tmp_path / "rows.parquet")
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.schema.names == [
        "intended_us", "sent_us", "end_us", "status", "outcome", "replica", "key", "bytes",
        "reason", "told_by",
    ]  # fmt: skip
    types = {name: table.schema.field(name).type for name in table.schema.names}
    assert {types.pop(name) for name in ("intended_us", "sent_us", "end_us")} == {pa.int64()}
    for name in ("outcome", "reason", "told_by"):
        assert pa.types.is_dictionary(types.pop(name))
    assert types == {"status": pa.int16(), "replica": pa.int16(), "key": pa.int32(), "bytes": pa.int32()}
    assert table.to_pylist() == [
        {"intended_us": 0, "sent_us": 3, "end_us": 400, "status": 200, "outcome": "hit",
         "replica": 0, "key": 7, "bytes": 5, "reason": "", "told_by": ""},
        {"intended_us": 50, "sent_us": 51, "end_us": 90, "status": 0, "outcome": "error",
         "replica": 1, "key": 7, "bytes": 0, "reason": "connection reset", "told_by": ""},
        {"intended_us": 2_000_000_000_000, "sent_us": 2_000_000_000_001, "end_us": 2_000_000_000_900,
         "status": 200, "outcome": "miss", "replica": 63, "key": 2_000_000, "bytes": 50_000_000,
         "reason": "", "told_by": "cache-status"},
    ]  # fmt: skip


def test_a_request_that_was_not_sent_has_no_row(recorder, tmp_path) -> None:
    recorder.row(1, 51, 90, 200, HIT, 5)
    recorder.write(tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet")["intended_us"].to_pylist() == [50]


def test_outcomes_are_counted_as_they_come(recorder) -> None:
    assert recorder.outcomes() == {}
    recorder.row(0, 3, 400, 200, HIT, 5)
    recorder.row(1, 51, 90, 200, HIT, 5)
    recorder.row(2, 51, 90, 0, ERROR, 0)
    assert recorder.outcomes() == {"hit": 2, "error": 1}


def test_statuses_and_reasons_are_told_of_all_that_was_sent(recorder) -> None:
    recorder.row(0, 3, 400, 503, ERROR, 5, REASON["status"])
    recorder.row(1, 51, 90, 0, ERROR, 0, REASON["connection refused"])
    recorder.row(2, 51, 90, 200, UNKNOWN, 0, REASON["Cache-Status unreadable"], 1)
    assert recorder.facts() == {
        "failures": {"503": 1, "connection refused": 1},
        "statuses": {"200": 1, "503": 1},
        "told_by": {"cache-status": 1},
        "unreadable": 1,
        "expected_errors": 0,
        "failed_paths": [
            {"path": "a", "status": 503, "requests": 1},
            {"path": "a", "status": 0, "requests": 1},
        ],
    }
    other = Recorder(recorder.requests)
    other.unpack(slice(None), recorder.packed(slice(None)))
    assert other.facts() == recorder.facts()
