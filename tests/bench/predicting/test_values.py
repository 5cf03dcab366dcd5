from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.errors import UserError
from bench.predicting import values


def test_lists_and_ranges() -> None:
    assert values.durations(["1h,5m", "90"]) == (90.0, 300.0, 3600.0)
    assert values.replicas(["1..4,8", "2"]) == (1, 2, 3, 4, 8)


def test_how_much_and_how_often() -> None:
    assert values.quota("5,000/h").calls == values.quota("5000").calls == 5000
    assert values.per_day("3/day") == values.per_day("3") == 3.0
    assert values.per_day("1/week") == pytest.approx(1 / 7)
    assert values.size("64MB", "--maxmemory") == 64_000_000
    assert values.milliseconds("300us", "--rtt") == 0.3
    assert values.milliseconds("0.3", "--rtt") == 0.3


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda text: values.durations([text]), "an hour"),
        (lambda text: values.durations([text]), ","),
        (lambda text: values.durations([text]), "999999999h"),
        (lambda text: values.replicas([text]), "0"),
        (lambda text: values.replicas([text]), "8..2"),
        (lambda text: values.replicas([text]), "1..1000"),
        (lambda text: values.replicas([text]), "two"),
        (values.quota, "0/h"),
        (values.quota, "many"),
        (values.quota, "5000/min"),
        (values.quota, "12.5/h"),
        (values.quota, "-5/h"),
        (values.per_day, "often"),
        (values.per_day, "2/h"),
        (values.per_day, "3/fortnight"),
        (lambda text: values.size(text, "--maxmemory"), "64 apples"),
        (lambda text: values.size(text, "--maxmemory"), "1kB"),
        (lambda text: values.milliseconds(text, "--rtt"), "2h"),
    ],
)
def test_nonsense_is_refused_with_what_was_written(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(UserError, match="--"):
        read(text)
