"""Cache-Status (RFC 9211) as a structured field list (RFC 8941)."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.reading.cache_status import MalformedError, meant, members, outcome
from scenarios.outcomes import OUTCOMES


def word(value: str, name: str | None = None) -> str:
    member = meant(members(value), name)
    return "no member" if member is None else OUTCOMES[outcome(member)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # The examples of RFC 9211, sections 2 and 4, in lower case.
        ("originCache; hit; ttl=1100".lower(), "hit"),
        ("examplecache; hit; ttl=376", "hit"),
        ("examplecache; hit; ttl=-412", "stale"),
        ("examplecache; hit; detail=memory", "hit"),
        ("examplecache; fwd=stale; fwd-status=304", "miss"),
        ("examplecache; fwd=stale; fwd-status=304; collapsed", "delayed"),
        ("examplecache; fwd=stale; fwd-status=304; collapsed=?0", "miss"),
        ("examplecache; fwd=partial; fwd-status=206", "miss"),
        ("examplecache; fwd=bypass", "bypass"),
        ("examplecache; fwd=uri-miss; stored=?0", "miss"),
        ('examplecache; fwd=uri-miss; key="/a;hit"', "miss"),
        ("examplecache; hit=?0; fwd=miss", "miss"),
        ("examplecache; hit=?1", "hit"),
        ("examplecache; hit=?0", "unknown"),
        ("examplecache", "unknown"),
        ('"my cache, hit"; fwd=uri-miss', "miss"),
        ('"say \\"hit\\""; hit', "hit"),
        ("c;hit", "hit"),
        ("c;  hit;   ttl=5.25", "hit"),
        ("c; hit; hit=?0; fwd=miss", "miss"),
        ('c; hit; detail="stale-if-error"', "stale"),
        ("c; fwd=uri-miss; detail=hit", "miss"),
    ],
)
def test_a_member_says_what_happened(value: str, expected: str) -> None:
    assert word(value) == expected


def test_of_several_caches_the_nearest_counts_or_the_one_that_is_named() -> None:
    value = 'origin; hit; ttl=30, edge; fwd=uri-miss; stored,\t"far cache"; fwd=bypass'
    assert word(value) == "bypass"
    assert word(value, "origin") == "hit"
    assert word(value, "Edge") == "miss"
    assert word(value, "far cache") == "bypass"
    assert word(value, "another") == "no member"
    assert word("c; fwd=uri-miss, c; hit", "c") == "hit"


@pytest.mark.parametrize(
    "value",
    [
        "c; fwd=", "c; hit=", "c;", "c; ;hit", ", c; hit", "c; hit,", "c hit", "c; hit=yes", "c; hit=1",
        'c; fwd="uri-miss"', "c; fwd", "c; collapsed=no", "c; hit; fwd=uri-miss", '"c; hit', "é; hit",
        "1; hit",
        "(a b); hit", "(a b", "c; ttl=1.2345; hit", "c; ttl=1234567890123456; hit", "c; ?1", "?1; hit",
    ],
)  # fmt: skip
def test_what_is_malformed_or_contradicts_itself_is_not_guessed(value: str) -> None:
    with pytest.raises(MalformedError):
        word(value)


NAMES = st.text(string.ascii_lowercase + string.digits + "_-.*", min_size=1, max_size=8).map(
    lambda t: "a" + t
)
STRINGS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
BARE = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.booleans(),
    STRINGS,
)
MEMBERS = st.lists(st.tuples(STRINGS, st.dictionaries(NAMES, BARE, max_size=4)), max_size=4)


def written(value: object) -> str:
    if isinstance(value, bool):
        return "?1" if value else "?0"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


@given(MEMBERS)
def test_what_is_written_by_the_rules_is_read_as_it_was_meant(given_members) -> None:
    field = ", ".join(
        written(name) + "".join(f"; {key}={written(value)}" for key, value in parameters.items())
        for name, parameters in given_members
    )
    assert [(member.name, member.parameters) for member in members(field)] == given_members


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_text_is_a_list_or_malformed(text: str) -> None:
    try:
        found = members(text)
    except MalformedError:
        return
    assert all(isinstance(member.parameters, dict) for member in found)
