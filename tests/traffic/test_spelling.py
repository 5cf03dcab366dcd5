"""Which paths are one to our app, and which it refuses: the same rule as the app's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.names import PathError, target_of
from traffic.logs.paths import sent
from traffic.spelling import mark, refused, spelled

SIGNS = st.sampled_from(
    [
        b"/", b".", b"..", b"%", b"%2F", b"%2e", b"%7E", b"~", b"a", b"?", b"#", b"[", b"%5B", b'"', b"\\",
        b"%00", b"\xc3\xa9", b"\xe9", b"%C3%A9", b"%c3%a9", b"%E9", b"+", b"%zz",
    ]
)  # fmt: skip
TARGETS = st.one_of(st.lists(SIGNS, max_size=12).map(b"".join), st.binary(max_size=20)).map(b"/".__add__)


@given(TARGETS)
def test_it_is_the_app_s_rule(target: bytes) -> None:
    path, _, query = sent(target).encode().partition(b"?")
    try:
        expected = target_of(path.removeprefix(b"/"), query)
    except PathError:
        assert refused(sent(target).encode()) is not None
        return
    assert refused(sent(target).encode()) is None
    assert spelled(sent(target).encode()).decode() == f"/{expected}"


@given(TARGETS)
def test_what_is_sent_can_stand_in_a_request_line_and_keeps_every_byte_apart(target: bytes) -> None:
    asked = sent(target)
    assert asked.isascii()
    assert asked.isprintable()
    assert not set(asked) & set(" #")
    assert spelled(asked.encode()) == spelled(spelled(asked.encode()))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"/a%2Fb", b"/a/b", False),
        (b"//a", b"/a", False),
        (b"/a%7E", b"/a~", False),
        (b"/%C3%A9", b"/%c3%a9", False),
        (b"/p#one", b"/p#two", True),
        (b"/p?", b"/p", True),
        (b"/p?a=[1]", b"/p?a=%5B1%5D", True),
        ("/é".encode(), b"/%C3%A9", True),
        (b"/a b", b"/a%20b", True),
        (b"/a+b", b"/a%20b", False),
        (b"/100%", b"/100%25", True),
    ],
)
def test_what_the_app_cannot_tell_apart(one: bytes, other: bytes, same: bool) -> None:
    assert (mark(sent(one).encode()) == mark(sent(other).encode())) is same
