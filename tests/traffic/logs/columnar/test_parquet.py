"""Logs in Parquet files, and logs that may leave the house."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from access_logs import BEGAN_US, line, written
from hypothesis import given
from hypothesis import strategies as st

from traffic.logs import AccessLog, LogError, Reading, read
from traffic.logs.columnar.anonymous import anonymize

TRACE = Path(__file__).parents[5] / "shared" / "traces" / "access-2015-05-a.log"
AT = datetime(2025, 3, 14, 9, tzinfo=UTC)


def stored(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "log.parquet")
    return folder / "log.parquet"


@pytest.mark.parametrize(
    "times",
    [
        pa.array([AT, AT], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([AT.replace(tzinfo=None)] * 2, pa.timestamp("ms")),
        pa.array([BEGAN_US // 10**6] * 2, pa.int64()),
        pa.array([BEGAN_US // 10**6] * 2, pa.uint32()),
        pa.array([BEGAN_US // 1000] * 2),
        pa.array([BEGAN_US] * 2),
        pa.array([BEGAN_US * 1000] * 2),
        pa.array([BEGAN_US / 10**6] * 2, pa.float64()),
        pa.array(["2025-03-14T09:00:00Z", "14/Mar/2025:09:00:00 +0000"]),
        pa.array(["2025-03-14 10:00:00+01:00"] * 2).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_times_are_taken_in_whatever_type_they_have(tmp_path: Path, times: Any) -> None:
    log = read([stored(tmp_path, time=times, path=["/a", "/b"])])
    assert log.facts.first_us == BEGAN_US
    assert log.at_us.tolist() == [0, 500_000], "those of one second are spread over it"
    assert list(log.resources) == [b"/a", b"/b"]


def test_columns_are_taken_by_their_names_and_rows_left_out_by_kind(tmp_path: Path) -> None:
    path = stored(
        tmp_path,
        when=pa.array([AT, AT, None, AT, AT, AT, AT], pa.timestamp("us", "UTC")),
        url=["http://A.example/a?x", "/b", "/c", "/d", "no path", "/e", "/b"],
        verb=["GET", None, "GET", "POST", "GET", "get", "HEAD"],
        status=["200", "404", "200", "200", "200", "-", "304"],
        bytes=pa.array([7, None, 1, 1, 1, 1, 2**50]),
        ip=["192.0.2.1", "192.0.2.2:80", "x", "x", "x", "x", "192.0.2.1"],
    )
    log = read([path], Reading(log_format="time=when"))
    facts = log.facts
    assert [log.resources[key] for key in log.keys.tolist()] == [b"http://a.example/a?x", b"/b", b"/b"]
    assert log.status.tolist() == [200, 404, 304]
    assert log.size.tolist() == [7, -1, -1]
    assert log.heads.tolist() == [False, False, True]
    assert log.clients.tolist() == [0, 1, 0]
    assert {kind.reason: kind.lines for kind in facts.left_out} == {
        "a row without a time": 1,
        "method POST: not cached": 1,
        "a target that is not a path": 1,
        "a request without a status": 1,
    }
    assert facts.lines == 7
    assert all(kind.first.startswith("row ") for kind in facts.left_out)
    assert facts.detected[0].startswith("Parquet: time from when, method from verb, path from url")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": [1], "b": ["/a"]}, "no columns that are known to be a time and a path; it has a, b"),
        ({"time": [date(2025, 3, 14)], "path": ["x"]}, "1 × a target that is not a path"),
        ({"time": pa.array([], pa.int64()), "path": pa.array([], pa.string())}, "none of its 0 lines"),
        ({"time": [{"a": 1}], "path": ["/a"]}, "1 × a row without a time"),
        ({"time": [float("nan")], "path": ["/a"]}, "1 × a row without a time"),
    ],
)
def test_a_file_without_requests_is_refused_with_the_reason(tmp_path: Path, columns: Any, said: str) -> None:
    with pytest.raises(LogError) as refused:
        read([stored(tmp_path, **columns)])
    assert said in str(refused.value)
    assert "log.parquet" in str(refused.value)


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=30))
def test_a_damaged_file_is_refused(tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes) -> None:
    folder = tmp_path_factory.mktemp("log")
    path = stored(folder, time=[BEGAN_US, BEGAN_US + 5], path=["/a", "/b"], status=[200, 404])
    data = path.read_bytes()
    at %= len(data)
    path.write_bytes(data[:at] + junk + data[at + len(junk) :])
    try:
        read([path])
    except LogError as error:
        said = str(error)
        assert "log.parquet" in said


def pairs(log: AccessLog) -> list[Any]:
    """Return all of a log but names: keys and clients are numbered as they come."""
    columns = [log.at_us, log.status, log.size, log.heads]
    for column in (log.keys, log.clients):
        _, first, number = np.unique(column, return_index=True, return_inverse=True)
        columns.append(np.where(column < 0, -1, first[number]))
    return [column.tolist() for column in columns]


def test_an_anonymous_log_is_the_log_without_its_names(tmp_path: Path) -> None:
    lines = [
        line("/secret/a", 0, before="a.example:443 192.0.2.77 - alice"),
        line("/secret/b?token=1", 0, size="-", before="b.example:443 192.0.2.78 - -"),
        line("/secret/a", 5, status=404, method="HEAD", before="a.example:443 192.0.2.78 - -"),
        line("/secret/a", 7, before="- - -"),
    ]
    log = read([written(tmp_path, *lines, b"secret junk")])
    out = tmp_path / "out.parquet"
    anonymize(log, out)
    again = read([out])
    assert pairs(again) == pairs(log)
    assert again.facts.first_us == log.facts.first_us
    assert (again.facts.resources, again.facts.clients) == (3, 2)
    for private in (b"secret", b"example", b"192.0.2", b"alice", b"token"):
        assert private not in out.read_bytes()
    assert not (tmp_path / "out.parquet.tmp").exists()
    anonymize(log, tmp_path / "other.parquet")
    other = read([tmp_path / "other.parquet"])
    assert not set(again.resources) & set(other.resources), "the hashes of one file tell nothing of another"


def test_an_anonymous_log_can_be_made_anonymous_once_more(tmp_path: Path) -> None:
    log = read([written(tmp_path, line("/a", 0), line("/b", 1))])
    anonymize(log, tmp_path / "1.parquet")
    anonymize(read([tmp_path / "1.parquet"]), tmp_path / "2.parquet")
    assert pairs(read([tmp_path / "2.parquet"])) == pairs(log)


def test_where_an_anonymous_log_cannot_be_written_it_is_said(tmp_path: Path) -> None:
    log = read([written(tmp_path, line("/a", 0))])
    with pytest.raises(LogError, match=r"out\.parquet: cannot be written"):
        anonymize(log, tmp_path / "none" / "out.parquet")


@pytest.mark.skipif(not TRACE.exists(), reason=f"the trace is not there: {TRACE.name}")
def test_a_real_log_comes_back_whole(tmp_path: Path) -> None:
    log = read([TRACE])
    anonymize(log, tmp_path / "out.parquet")
    again = read([tmp_path / "out.parquet"])
    assert pairs(again) == pairs(log)
    assert again.facts.asked_once == log.facts.asked_once
