"""What Redis keeps comes back as it was stored, and nobody else's bytes are taken for it."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.envelope import Envelope, lines, opened, pairs, tombstone

NAMES = st.from_regex(rb"[a-z][a-z-]{0,20}", fullmatch=True)
VALUES = st.binary(max_size=30)
SENDABLE = VALUES.filter(lambda value: not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value))
HEADERS = st.lists(st.tuples(NAMES, SENDABLE), max_size=5)
TIMES = st.floats(0, 1e11)
ENVELOPES = st.builds(
    lambda status, asked_s, times, head, body, source: Envelope(status, asked_s, *times, head, body, source),
    st.sampled_from([200, 404, 410]),
    TIMES,
    st.tuples(TIMES, TIMES).map(sorted),
    HEADERS.map(lines),
    st.binary(max_size=3000),
    st.binary(max_size=60),
)
WHOLE = Envelope(200, 1e9, 1e9, 2e9, b'etag: "1"\r\n', b"body", b"elsewhere")


@given(ENVELOPES)
def test_what_is_packed_comes_back(envelope: Envelope) -> None:
    assert opened(envelope.pack()) == envelope


@given(st.binary(max_size=200))
def test_other_bytes_are_none_of_ours(data: bytes) -> None:
    assert opened(data) is None


@given(st.integers() | st.booleans() | st.floats() | st.none() | st.lists(st.binary()))
def test_nor_is_what_is_no_bytes(data: Any) -> None:
    assert opened(data) is None


@given(ENVELOPES, st.data())
def test_what_was_cut_short_is_none_of_ours(envelope: Envelope, data: st.DataObject) -> None:
    whole = envelope.pack()
    assert opened(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@given(ENVELOPES, st.binary(min_size=1, max_size=60))
def test_nor_is_what_something_was_added_to(envelope: Envelope, more: bytes) -> None:
    assert opened(envelope.pack() + more) is None


@given(ENVELOPES, st.data())
def test_what_is_believed_can_be_answered(envelope: Envelope, data: st.DataObject) -> None:
    """Whatever becomes of some of the bytes, what is read has a status, times and headers that make sense."""
    broken = bytearray(envelope.pack())
    for at in data.draw(st.lists(st.integers(0, len(broken) - 1), max_size=4)):
        broken[at] = data.draw(st.integers(0, 255))
    found = opened(bytes(broken))
    if found is None:
        return
    assert found.status in (200, 404, 410)
    assert -(2**31) <= found.generated_s <= found.fresh_until_s < math.inf
    assert 0 <= found.asked_s < math.inf
    assert not found.head or found.head.endswith(b"\r\n")
    assert b"\r\n\r\n" not in b"\r\n" + found.head


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 0}, {"status": 99}, {"status": 301}, {"status": 304}, {"status": 500}, {"status": 999},
        {"fresh_until_s": math.nan}, {"fresh_until_s": math.inf}, {"fresh_until_s": 1e300},
        {"generated_s": math.nan}, {"generated_s": -math.inf}, {"generated_s": -1e10}, {"asked_s": math.nan},
        {"asked_s": math.inf}, {"asked_s": -1.0}, {"generated_s": 3e9}, {"head": b"etag: x"},
        {"head": b"a: b\r\n\r\nHTTP/1.1 200 OK\r\n"}, {"head": b"\r\n"},
    ],
    ids=str,
)  # fmt: skip
def test_what_no_answer_can_say_is_none_of_ours(wrong: dict[str, Any]) -> None:
    assert opened(WHOLE.pack()) == WHOLE
    assert opened(WHOLE._replace(**wrong).pack()) is None


def test_what_stands_for_what_has_gone_is_no_response() -> None:
    assert opened(tombstone(1e9)) is None


@given(HEADERS)
def test_headers_come_back_from_their_lines(headers: list[tuple[bytes, bytes]]) -> None:
    assert pairs(lines(headers)) == headers


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_no_value_begins_a_line_of_its_own(headers: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in pairs(lines(headers))]
    assert names == [name for name, value in headers if not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)]
