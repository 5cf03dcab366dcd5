"""What Redis keeps comes back as it was stored, and nobody else's bytes are taken for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.envelope import Envelope, opened

WORDS = st.binary(min_size=1, max_size=30).filter(lambda word: b"\0" not in word)
ENVELOPES = st.builds(
    Envelope,
    st.integers(100, 599),
    st.floats(0, 1e11),
    st.floats(0, 1e11),
    st.lists(st.tuples(WORDS, WORDS), max_size=5).map(tuple),
    st.binary(max_size=3000),
)


@given(ENVELOPES)
def test_what_is_packed_comes_back(envelope: Envelope) -> None:
    assert opened(envelope.pack()) == envelope


@given(st.binary(max_size=200))
def test_other_bytes_are_none_of_ours(data: bytes) -> None:
    assert opened(data) is None


@given(ENVELOPES, st.data())
def test_what_lost_its_end_among_the_headers_is_none_of_ours(envelope: Envelope, data: st.DataObject) -> None:
    whole = envelope.pack()
    short = whole[: data.draw(st.integers(0, len(whole) - len(envelope.body) - 1))]
    assert opened(short) is None
