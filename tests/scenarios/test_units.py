"""Durations and sizes, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from scenarios.units import Bytes, Milliseconds, Seconds


@pytest.mark.parametrize(
    ("written", "in_seconds"),
    [
        (5, 5.0),
        (0.25, 0.25),
        ("5s", 5.0),
        ("250us", 250e-6),
        ("250µs", 250e-6),
        ("1h", 3600.0),
        ("1.5 m", 90.0),
    ],
)
def test_a_duration_is_seconds_unless_it_names_its_unit(written: object, in_seconds: float) -> None:
    assert TypeAdapter(Seconds).validate_python(written) == pytest.approx(in_seconds)


@pytest.mark.parametrize(("written", "in_ms"), [(0.3, 0.3), ("300us", 0.3), ("1s", 1000.0), ("0.3", 0.3)])
def test_a_field_named_ms_takes_a_bare_number_as_milliseconds(written: object, in_ms: float) -> None:
    assert TypeAdapter(Milliseconds).validate_python(written) == in_ms


@pytest.mark.parametrize(
    ("written", "in_bytes"), [(4096, 4096), ("4KiB", 4096), ("64MB", 64_000_000), ("1.5kb", 1500), ("7", 7)]
)
def test_a_size_is_bytes_unless_it_names_its_unit(written: object, in_bytes: int) -> None:
    assert TypeAdapter(Bytes).validate_python(written) == in_bytes


@pytest.mark.parametrize(
    "written", ["", "s", "5 parsecs", "five", "-5s", "5s5", True, None, [5], "nan", "1e999x"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Seconds).validate_python(written)


@given(
    st.floats(min_value=1e-3, max_value=1e6),
    st.sampled_from([("us", 1e-6), ("ms", 1e-3), ("s", 1), ("h", 3600)]),
)
def test_number_and_unit_multiply(number: float, unit: tuple[str, float]) -> None:
    assert TypeAdapter(Seconds).validate_python(f"{number!r}{unit[0]}") == pytest.approx(number * unit[1])
