"""Access logs, as servers write them and as they get broken."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.access_log import LogError, LoggedRequest, read_log

COMMON = '83.149.9.216 - frank [17/May/2015:10:05:03 +0000] "GET /images/k.png?x=1 HTTP/1.1" 200 203023'
COMBINED = COMMON + ' "http://semicomplete.com/" "Mozilla/5.0 (X11; \\"quoted\\")"'
AT_S = 1431857103.0
TRACE = Path(__file__).parents[3] / "shared" / "traces" / "access-2015-05-a.log"


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "access.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("line", [COMMON, COMBINED])
def test_both_formats_are_read(tmp_path: Path, line: str) -> None:
    assert read_log(written(tmp_path, line)).requests == (LoggedRequest(AT_S, "images/k.png?x=1", 203023),)


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        (COMMON.replace("+0000", "+0200"), LoggedRequest(AT_S - 7200, "images/k.png?x=1", 203023)),
        (COMMON.replace("203023", "-"), LoggedRequest(AT_S, "images/k.png?x=1", None)),
        (COMMON.replace("/images/k.png?x=1", "http://a.example/b/c"), LoggedRequest(AT_S, "b/c", 203023)),
        (COMMON.replace("/images/k.png?x=1", "/"), LoggedRequest(AT_S, "", 203023)),
        (COMMON.replace(" HTTP/1.1", ""), LoggedRequest(AT_S, "images/k.png?x=1", 203023)),
        (COMMON.replace("83.149.9.216", "2001:db8::1"), LoggedRequest(AT_S, "images/k.png?x=1", 203023)),
        (COMMON.replace("frank", "frank o [x]"), LoggedRequest(AT_S, "images/k.png?x=1", 203023)),
    ],
)  # fmt: skip
def test_what_lines_may_look_like(tmp_path: Path, line: str, request_: LoggedRequest) -> None:
    log = read_log(written(tmp_path, line))
    assert (log.requests, log.bad_lines) == ((request_,), 0)


def test_bad_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    log = read_log(
        written(
            tmp_path,
            COMMON,
            "",
            "nonsense",
            COMMON.replace("17/May", "32/May"),
            COMMON.replace("GET", "\x16\x03"),
            COMMON.replace(" 200 ", " ok "),
            COMMON,
        )
    )
    assert (len(log.requests), log.lines, log.bad_lines) == (2, 7, 5)


def test_only_get_requests_are_taken_and_the_others_are_not_bad(tmp_path: Path) -> None:
    log = read_log(written(tmp_path, COMMON.replace("GET", "POST"), COMMON, COMMON.replace("GET", "HEAD")))
    assert (len(log.requests), log.bad_lines) == (1, 0)


def test_requests_are_put_in_the_order_of_their_times(tmp_path: Path) -> None:
    log = read_log(written(tmp_path, COMMON.replace(":03 +", ":09 +"), COMMON))
    assert [request.at_s - AT_S for request in log.requests] == [0, 6]


def test_gzip_is_known_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(gzip.compress(f"{COMMON}\n{COMBINED}\n".encode()))
    assert len(read_log(path).requests) == 2


def broken_gzip() -> bytes:
    whole = bytearray(gzip.compress("".join(f"{COMMON} {n}\n" for n in range(500)).encode()))
    whole[40:60] = bytes(20)
    return bytes(whole)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"no log\nat all\n", id="no good line"),
        pytest.param(COMMON.replace("GET", "PUT").encode(), id="no GET"),
        pytest.param(bytes(range(256)) * 9, id="binary"),
        pytest.param(gzip.compress(COMMON.encode() * 99)[:60], id="gzip cut off"),
        pytest.param(broken_gzip(), id="gzip broken"),
    ],
)
def test_a_log_without_a_good_line_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.log"
    path.write_bytes(content)
    with pytest.raises(LogError, match=r"odd\.log"):
        read_log(path)


def test_a_missing_log_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "none.log", tmp_path):
        with pytest.raises(LogError, match=path.name):
            read_log(path)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**31),
            st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), max_size=40),
            st.one_of(st.none(), st.integers(0, 10**9)),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_what_is_written_is_read_again(tmp_path_factory, entries) -> None:
    lines = [
        f"h - - [{datetime.fromtimestamp(at, UTC):%d/%b/%Y:%H:%M:%S +0000}]"
        f' "GET /x{name} HTTP/1.1" 200 {"-" if size is None else size}'
        for at, name, size in entries
        if "://" not in name
    ] or [COMMON]
    log = read_log(written(tmp_path_factory.mktemp("log"), *lines))
    assert log.bad_lines == 0
    assert len(log.requests) == len(lines)
    if lines != [COMMON]:
        kept = [(float(at), f"x{name}", size) for at, name, size in entries if "://" not in name]
        assert [(r.at_s, r.path, r.size) for r in log.requests] == sorted(kept, key=lambda entry: entry[0])


@given(st.binary(max_size=300))
def test_no_bytes_whatsoever_bring_it_down(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "access.log"
    path.write_bytes(COMMON.encode() + b"\n" + data)
    log = read_log(path)
    assert log.requests
    assert log.bad_lines + len(log.requests) <= log.lines


@pytest.mark.skipif(not TRACE.exists(), reason=f"the trace is not there: {TRACE.name}")
def test_a_real_log_is_read_whole() -> None:
    log = read_log(TRACE)
    assert log.lines == len(log.requests) + log.bad_lines + sum(
        '"GET ' not in line for line in TRACE.read_text(errors="replace").splitlines()
    )
    assert log.bad_lines <= 0.001 * log.lines
    assert len(log.requests) > 1000
