"""What reaches the master's port: messages are read, anything else is refused and nothing else is raised."""

from __future__ import annotations

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.distributed.frames import Letter, MalformedError, read

NAMES = st.text(st.characters(codec="utf-8"), max_size=200)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(NAMES, st.text(), DATA)
def test_a_message_is_read_as_it_was_sent(name: str, kind: str, data: object) -> None:
    assert read([name.encode(), msgpack.dumps((kind, data, name))]) == Letter(name, kind, data)


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_whatever_comes_is_a_message_or_malformed(frames: list[bytes]) -> None:
    with contextlib.suppress(MalformedError):
        read(frames)


@given(NAMES, st.text(), DATA, st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_message_that_was_cut_or_bent_on_the_way_is_malformed_or_still_its_senders(
    name: str, kind: str, data: object, at: int, bent: bytes
) -> None:
    whole = msgpack.dumps((kind, data, name))
    for frame in (whole[:at], whole[:at] + bent + whole[at:]):
        with contextlib.suppress(MalformedError):
            assert read([name.encode(), frame]).sender == name


@given(NAMES, NAMES)
def test_nobody_speaks_for_another(sender: str, name: str) -> None:
    if sender != name:
        with pytest.raises(MalformedError, match="another sender"):
            read([sender.encode(), msgpack.dumps(("hello", None, name))])
