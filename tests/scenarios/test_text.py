"""YAML that is odd: each kind is a sentence with a line, in bounded time."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.reading import document, text
from scenarios.reading.document import ScenarioError

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))


@pytest.mark.parametrize(
    ("written", "said", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "a is given twice, first on line 1", 3),
        ("a: {b: 1, b: 2}\n", "b is given twice", 1),
        ("a: [{b: 1,\n  b: 2}]\n", "b is given twice", 2),
        (BOMB, "aliases stand for more than 100,000 values", None),
        ("a: &a [*a]\n", "an alias refers to something that contains it", 1),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 50 levels deep", 1),
        ("a: " + "[" * 20_000, "nested more than 50 levels deep", None),
        ("a: " + "9" * 5000, "not valid YAML", None),
        ("a: 2025-02-30\n", "not valid YAML", None),
        ("? [a]\n: 1\n", "a field name must be plain text", 1),
        ("a: [1, 2\n", "not valid YAML", 2),
        ("a: !!python/object:os.system {}\n", "not valid YAML", 1),
        ("\0", "not valid YAML", None),
    ],
)
def test_what_is_odd_is_an_error_that_says_where(written: str, said: str, line: int | None) -> None:
    with pytest.raises(text.TextError) as caught:
        text.read(written)
    assert said in caught.value.problem
    assert caught.value.line == line


def test_aliases_of_use_are_read() -> None:
    assert text.read("a: &a {b: 1}\nc: *a\n").value == {"a": {"b": 1}, "c": {"b": 1}}


@given(st.text())
def test_any_text_is_read_or_refused(written: str) -> None:
    with contextlib.suppress(text.TextError):  # and nothing else
        text.read(written)


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "field", ["workload.rate", "cache.ttl", "upstream.latency_ms", "schedule.duration", "link.rtt_ms"]
)
def test_a_figure_is_finite(field: str, value: str) -> None:
    with pytest.raises(ScenarioError, match=field):
        document.load("quick", dict([document.parse_assignment(f"{field}={value}")]))


def test_a_huge_value_is_not_repeated_whole() -> None:
    with pytest.raises(ScenarioError) as caught:
        document.load("quick", {"name": "x" * 100_000})
    assert len(str(caught.value)) < 1000
