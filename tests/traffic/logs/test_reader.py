"""Access logs, as servers write them and as they get broken."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
from pathlib import Path

import pytest
from access_logs import BEGAN_US, line, written
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from traffic.logs import AccessLog, LogError, read
from traffic.logs.lines import CUT, EMPTY

TRACE = Path(__file__).parents[4] / "shared" / "traces" / "access-2015-05-a.log"


def asked(log: AccessLog) -> list[bytes]:
    return [log.resources[key] for key in log.keys.tolist()]


def test_requests_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    log = read([written(tmp_path, line("/b", 9), line("/a?x=1", 3), line("/b", 3, method="HEAD"))])
    assert asked(log) == [b"/a?x=1", b"/b", b"/b"]
    assert log.heads.tolist() == [False, True, False]
    assert log.at_us.tolist() == [0, 500_000, 6_000_000], "those of one second are spread over it"
    assert log.end_us == 7_000_000, "the last second lasts a second"
    assert (log.facts.first_us, log.facts.last_us) == (BEGAN_US + 3_000_000, BEGAN_US + 9_000_000)


def test_times_with_fractions_are_taken_as_they_are(tmp_path: Path) -> None:
    lines = [line("/a").replace(b":00:00 +", b":00:00.%03d +" % ms) for ms in (250, 250, 900)]
    assert read([written(tmp_path, *lines)]).at_us.tolist() == [0, 0, 650_000]


def test_what_is_left_out_is_counted_by_kind_with_the_first_of_each(tmp_path: Path) -> None:
    lines = [
        line("/a"), b"", b"nonsense 1", line("/a", method="POST"), b"nonsense 2", line("/b", method="POST"),
        line("/a").replace(b"14/Mar", b"32/Mar"), line().replace(b"GET /a HTTP/1.1", b"-"),
        line("*", method="OPTIONS"),
    ]  # fmt: skip
    facts = read([written(tmp_path, *lines)]).facts
    counted = {kind.reason: (kind.lines, kind.first) for kind in facts.left_out}
    assert counted["not in the log's format"][0] == 3
    assert counted["not in the log's format"][1] == "nonsense 1"
    assert counted["method POST: not cached"][0] == 2
    assert counted["method OPTIONS: not cached"][0] == 1
    assert counted["no request was sent"][0] == 1
    assert counted[EMPTY] == (1, "")
    assert facts.lines == facts.requests + sum(kind.lines for kind in facts.left_out) == 9
    assert facts.methods == {"GET": 1, "POST": 2, "OPTIONS": 1}


def test_a_last_line_that_was_cut_off_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(line("/a") + b"\n" + line("/b")[:40])
    assert [kind.reason for kind in read([path]).facts.left_out] == [CUT]
    path.write_bytes(line("/a") + b"\n" + line("/b"))
    assert read([path]).facts.requests == 2, "a whole line without its end is a line"


GOOD = b"\n".join(line(f"/item/{n % 4}", n) for n in range(12)) + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD, id="plain"),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), id="crlf"),
        pytest.param(GOOD.replace(b"\n", b"\r"), id="cr"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, id="utf-8 with a mark"),
        pytest.param(GOOD.decode().encode("utf-16"), id="utf-16"),
        pytest.param(b"\xfe\xff" + GOOD.decode().encode("utf-16-be"), id="utf-16-be"),
        pytest.param(GOOD.decode().encode("utf-16-le"), id="utf-16 without a mark"),
        pytest.param(bytes(5000) + GOOD, id="zeros at the beginning"),
        pytest.param(gzip.compress(GOOD), id="gzip"),
        pytest.param(gzip.compress(GOOD[:300]) + gzip.compress(GOOD[300:]), id="gzip of two members"),
        pytest.param(gzip.compress(GOOD) + bytes(512), id="gzip and zeros"),
        pytest.param(gzip.compress(GOOD) + b"junk", id="gzip and junk"),
        pytest.param(bz2.compress(GOOD[:300]) + bz2.compress(GOOD[300:]), id="bzip2"),
        pytest.param(lzma.compress(GOOD[:300]) + lzma.compress(GOOD[300:]), id="xz"),
        pytest.param(zstd.compress(GOOD[:300]) + zstd.compress(GOOD[300:]), id="zstd"),
        pytest.param(gzip.compress(gzip.compress(GOOD)), id="gzip of gzip"),
        pytest.param(gzip.compress(GOOD.decode().encode("utf-16")), id="gzip of utf-16"),
    ],
)
def test_what_matters_is_the_content_and_not_the_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    facts = read([path]).facts
    assert (facts.requests, facts.resources, facts.left_out) == (12, 4, ())


def broken(packed: bytes) -> bytes:
    return packed[:60] + bytes(40) + packed[100:]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(gzip.compress(b""), "is empty", id="empty gzip"),
        pytest.param(b"no log\nat all\n", "none of its 2 lines", id="no good line"),
        pytest.param(line(method="PUT"), r"1 × method PUT: not cached", id="no GET"),
        pytest.param(bytes(range(256)) * 9, "none of its", id="binary"),
        pytest.param(gzip.compress(GOOD * 99)[:160], "gzip data ends in the middle", id="gzip cut off"),
        pytest.param(lzma.compress(GOOD * 99)[:160], "xz data ends in the middle", id="xz cut off"),
        pytest.param(broken(gzip.compress(GOOD * 99)), "gzip data is damaged", id="gzip broken"),
        pytest.param(b"PK\x03\x04" + bytes(90), "zip archive: unpack it", id="zip"),
        pytest.param(bytes(257) + b"ustar" + bytes(250), "tar archive: unpack it", id="tar"),
        pytest.param(b"PAR1" + bytes(90), "Parquet", id="parquet"),
    ],
)
def test_a_log_that_cannot_be_used_is_refused_by_its_name_with_the_cause(
    tmp_path: Path, content: bytes, cause: str
) -> None:
    path = tmp_path / "odd.log"
    path.write_bytes(content)
    with pytest.raises(LogError, match=rf"odd\.log: .*{cause}"):
        read([path])


def test_a_missing_log_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"none\.log: there is no such file"):
        read([tmp_path / "none.log"])
    with pytest.raises(LogError, match="is a folder; name its files"):
        read([tmp_path])
    with pytest.raises(LogError, match="no file matches"):
        read([tmp_path / "*.log"])


def test_rotated_logs_are_put_together_in_the_order_of_their_times(tmp_path: Path) -> None:
    written(tmp_path / "access.log", line("/c", 20), line("/d", 21))
    (tmp_path / "access.log.1").write_bytes(gzip.compress(line("/b", 10) + b"\n" + line("/c", 20)))
    written(tmp_path / "access.log.10", line("/a", 0))
    log = read([tmp_path / "access.log*"])
    assert asked(log) == [b"/a", b"/b", b"/c", b"/c", b"/d"]
    assert len(log.facts.names) == 3
    assert asked(read([tmp_path / "access.log", tmp_path / "access.log.1"])) == [b"/b", b"/c", b"/c", b"/d"]


def test_the_same_lines_twice_are_read_once(tmp_path: Path) -> None:
    written(tmp_path / "access.log", line("/a", 20))
    (tmp_path / "access.log.gz").write_bytes(gzip.compress((tmp_path / "access.log").read_bytes()))
    os.link(tmp_path / "access.log", tmp_path / "access.log.1")
    facts = read([tmp_path / "access*"]).facts
    assert facts.requests == 1
    assert any("same lines" in remark for remark in facts.remarks)


@pytest.mark.parametrize("name", ["[x].log", "{a}.log", "20250314", "null", "a b.log", "a#b", "*"])
def test_a_file_is_what_its_name_says_before_it_is_a_pattern(tmp_path: Path, name: str) -> None:
    written(tmp_path / "x.log", line("/other"), line("/other"))
    assert read([written(tmp_path / name, line("/a"))]).facts.requests == 1


def test_a_named_pipe_is_read_once_and_to_its_end(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    content = b"".join(line(f"/{n}", n) + b"\n" for n in range(30_000))

    def write() -> None:
        with fifo.open("wb") as file:
            for begin in range(0, len(content), 7000):
                file.write(content[begin : begin + 7000])

    writer = threading.Thread(target=write)
    writer.start()
    assert read([fifo]).facts.requests == 30_000
    writer.join()


@pytest.mark.parametrize(("year", "far"), [(1970, 1), (1, 1), (9999, 1), (2025, 0)])
def test_one_line_of_another_age_does_not_make_a_log_years_long(tmp_path: Path, year: int, far: int) -> None:
    lines = [line(f"/{n % 7}", n) for n in range(600)]
    odd = line("/odd").replace(b"/2025:", b"/%04d:" % year)
    log = read([written(tmp_path, *lines[:300], odd, *lines[300:])])
    assert (log.facts.far, log.facts.requests, log.facts.resources) == (far, 601, 8)
    assert log.facts.last_us - log.facts.first_us == 599_000_000
    assert log.at_us.size == 601 - far


@given(st.binary(max_size=300))
def test_no_bytes_whatsoever_bring_it_down(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_bytes(line() + b"\n" + data)
    facts = read([path]).facts
    assert facts.lines == facts.requests + sum(kind.lines for kind in facts.left_out)


@pytest.mark.skipif(not TRACE.exists(), reason=f"the trace is not there: {TRACE.name}")
def test_a_real_log_is_read_whole() -> None:
    facts = read([TRACE]).facts
    assert facts.lines == 5000
    text = TRACE.read_text(errors="replace").splitlines()
    assert facts.methods["GET"] == sum('"GET ' in one for one in text)
    assert facts.methods["HEAD"] == sum('"HEAD ' in one for one in text)
    assert facts.unreadable == 0
