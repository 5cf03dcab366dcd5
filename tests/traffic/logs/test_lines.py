"""Lines that are read at once, by a regular expression or by compiled code, as `clf.parse` reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from access_logs import line, written
from hypothesis import given, settings
from hypothesis import strategies as st

from traffic.logs import AccessLog, lines, read
from traffic.logs.formats import clf
from traffic.logs.formats.collected import CRI
from traffic.logs.formats.known import Format
from traffic.logs.formats.times import Clock
from traffic.logs.lines import Clients, Lines, Numbers

COMBINED = Format("Combined Log Format", clf.parse, "", plain=True)
ONE_BY_ONE = replace(COMBINED, plain=False)
BEFORE = [
    b"192.0.2.1 - -", b"a.example 192.0.2.1 - -", b"a.example:443 192.0.2.1 - frank", b"2001:db8::1 - -",
    b"A.example 192.0.2.1 - -", b"192.0.2.1:52 - -", b"192.0.2.1, 192.0.2.2 - -", b"- - -",
    b"client.example - -",
    b"192.0.2.9:80 192.0.2.1 - -", b"2 192.0.2.1 - -", b"a.example:123456 192.0.2.1 - -", b"a.b. 1.2.3 - -",
    b"\xc3\xa9 - \xc3\xa9", b"Mar 14 09:00:00 web1 nginx[7]: 192.0.2.1 - -", b"192.0.2.1 - j doe", b"::1 - -",
    b'192.0.2.1 - "x"', b"192.0.2.1 -", b"192.0.2.1  - -", b"192.0.2.1 - \\x", b"x\ty - -",
    b"b-.example 1.2.3.4 - -",
]  # fmt: skip
TIMES = [
    b"14/Mar/2025:09:00:00 +0000", b"14/Mar/2025:09:00:01 -0330", b"31/Feb/2025:09:00:00 +0000",
    b"1741942800", b"14/Mar/2025:25:00:00 +0000", b"14/mar/2025:09:00:00 -0330",
    b"31/Dec/2016:23:59:60 +0000",
    b"14/Mar/2025:09:00:00.5 +0000", b"29/Feb/1900:00:00:00 +9999", b"01/Jan/0001:00:00:00 *0000",
    b"14/Mar/2025 09:00:00 +0000", b"14/Mar/2025:09:00:00", b"00/Jan/2025:09:00:00 +0000",
]  # fmt: skip
TARGETS = [
    b"/", b"/a?b=c", b"/a b", b"/a\\x22", b"/a\\", b'/a"', b"*", b"http://a.example/x", b"/\xc3\xa9", b"",
    b"/a#b", b"/" + b"x" * 300, b"//a",
]  # fmt: skip
ANSWERS = [
    b"200 1000", b"304 -", b"200", b"- -", b"200 -1", b"404 999999999999", b"404 9999999999999", b"200 12x",
    b"20 1", b"200  1", b"000 0", b"200 --", b"200 1099511627777",
]  # fmt: skip
AFTER = [
    b"",
    b"\r",
    b' "-" "client"',
    b' "a" "[14/Mar/2025:09:00:00 +0000] \\"GET /x"',
    b" ",
    b" \r",
    b'"',
    b"\t",
]
MOSTLY = st.integers(0, 3)  # the first of each list is plain, and is taken three times in four


def mostly(values: list[bytes]) -> st.SearchStrategy[bytes]:
    return MOSTLY.flatmap(lambda odd: st.sampled_from(values) if odd == 0 else st.just(values[0]))


LINES = st.one_of(
    st.builds(
        lambda before, time, method, target, protocol, answer, after: (
            b'%b [%b] "%b %b%b" %b%b' % (before, time, method, target, protocol, answer, after)
        ),
        mostly(BEFORE),
        mostly(TIMES),
        mostly(
            [b"GET", b"HEAD", b"get", b"POST", b"PUT", b"GETS", b"PROPFIND", b"OPTIONS", b"PATCH", b"DELETE"]
        ),
        mostly(TARGETS),
        mostly([b" HTTP/1.1", b" HTTP/2", b" HTTP/2.0", b"", b" HTTP/1.1 ", b" HTTP/x.1"]),
        mostly(ANSWERS),
        mostly(AFTER),
    ),
    st.sampled_from([b"", b"\r", b"\x00", b"junk", b"192.0.2.1 - - [", line()[:40], line() + line()]),
)


def state(block: bytes, form: Format) -> dict[str, Any]:
    """Return all that is known of a block once it is read, with names for numbers."""
    read = Lines(Numbers(), Clients(), Clock())
    read.take(block, form)
    names = {number: name for name, number in read.numbers.items()}
    clients = {number: name for name, number in read.clients.items()}
    columns = {name: column.tolist() for name, column in read.blocks[0].items()}
    return columns | {
        "keys": [names[key] for key in columns["keys"]],
        "clients": [clients[client] for client in columns["clients"]],
        "methods": +read.methods,
        "left_out": {reason: (kind.lines, kind.first) for reason, kind in read.left_out.items()},
        "lines": read.lines,
    }


@settings(deadline=None)  # the first has to compile
@pytest.mark.parametrize("compiled", [False, True])
@given(st.lists(LINES, min_size=1, max_size=6), st.booleans())
def test_what_is_read_at_once_is_read_to_the_same_result_one_by_one(
    compiled: bool, some: list[bytes], ended: bool
) -> None:
    block = b"\n".join(some) + (b"\n" if ended or not some[-1] else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BEFORE_COMPILED", 0 if compiled else 1)
        assert state(block, COMBINED) == state(block, ONE_BY_ONE)


def test_most_of_the_lines_that_are_drawn_are_plain() -> None:
    """What is compared above is worth comparing: both readers take these lines at once."""
    from traffic.logs.compiled.scan import scan

    some = [line("/a?b", status=404, size=7), line(method="HEAD"), line(before="a.example:443 192.0.2.1 - -")]
    found = scan(b"\n".join([*some, line(method="POST"), b"odd", b"", line()]))
    assert found.columns.places.tolist() == [0, 1, 2, 6]
    assert found.others[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert found.odd[:, 0].tolist() == [4, 5]
    assert len(lines._PLAIN.findall(b"\n".join(some))[0][2]) == 26


@settings(deadline=None)
@given(st.lists(LINES, min_size=1, max_size=6), st.booleans())
def test_the_prefix_of_kubernetes_changes_nothing_of_a_block(some: list[bytes], compiled: bool) -> None:
    form = replace(COMBINED, prefix=CRI)
    bare = b"".join(one + b"\n" for one in some)
    wrapped = b"".join(b"2025-03-14T09:00:00.123456789Z stdout F " + one + b"\n" for one in some)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BEFORE_COMPILED", 0 if compiled else 1)
        assert state(wrapped, form) == state(bare, COMBINED)


def test_a_log_behind_the_prefix_of_kubernetes_is_read_at_once(tmp_path: Path) -> None:
    bare = [line(f"/{n % 7}", n) for n in range(50)]
    path = written(tmp_path / "cri.log", *(b"2025-03-14T09:00:00.1Z stdout F " + one for one in bare))
    log, plain = read([path]), read([written(tmp_path / "bare.log", *bare)])
    assert log.keys.tolist() == plain.keys.tolist()
    assert log.facts.detected[0].endswith("behind Kubernetes' prefix")


def test_a_log_that_is_read_by_both_is_one_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [line(f"/{n % 97}", n, before=f"192.0.2.{n % 9} - -", status=200 + n % 3) for n in range(5000)]
    path = written(tmp_path, *many, b"odd", *many[:10])

    def everything(log: AccessLog) -> list[Any]:
        columns = (log.at_us, log.keys, log.status, log.size, log.heads, log.clients)
        return [*(column.tolist() for column in columns), list(log.resources), log.facts]

    whole = everything(read([path]))
    monkeypatch.setattr("traffic.logs.files.unpack.BLOCK", 50_000)
    monkeypatch.setattr(lines, "BEFORE_COMPILED", 3)
    assert everything(read([path])) == whole
