"""What Redis keeps comes back as it was stored, and nobody else's bytes are taken for it."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.envelope import Envelope, lines, opened, pairs

NAMES = st.from_regex(rb"[a-z][a-z-]{0,20}", fullmatch=True)
VALUES = st.binary(max_size=30)
SENDABLE = VALUES.filter(lambda value: not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value))
HEADERS = st.lists(st.tuples(NAMES, SENDABLE), max_size=5)
ENVELOPES = st.builds(
    Envelope,
    st.integers(100, 599),
    st.floats(0, 1e11),
    st.floats(0, 1e11),
    HEADERS.map(lines),
    st.binary(max_size=3000),
)


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
def test_what_lost_its_end_among_the_headers_is_none_of_ours(envelope: Envelope, data: st.DataObject) -> None:
    whole = envelope.pack()
    short = whole[: data.draw(st.integers(0, len(whole) - len(envelope.body) - 1))]
    assert opened(short) is None


@given(HEADERS)
def test_headers_come_back_from_their_lines(headers: list[tuple[bytes, bytes]]) -> None:
    assert pairs(lines(headers)) == headers


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_no_value_begins_a_line_of_its_own(headers: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in pairs(lines(headers))]
    assert names == [name for name, value in headers if not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value)]
