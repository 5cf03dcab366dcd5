"""Durations and sizes, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from scenarios.units import Bytes, Milliseconds, Seconds, Share


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


@pytest.mark.parametrize(
    ("unit", "in_seconds"),
    [("us", 1e-6), ("µs", 1e-6), ("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("", 1)],
)
def test_each_unit_of_time_is_what_it_says(unit: str, in_seconds: float) -> None:
    assert TypeAdapter(Seconds).validate_python(f"3{unit}") == pytest.approx(3 * in_seconds)
    assert TypeAdapter(Seconds).validate_python(f"3 {unit.upper()}") == pytest.approx(3 * in_seconds)


@pytest.mark.parametrize(
    ("unit", "in_bytes"),
    [
        ("", 1), ("b", 1), ("kb", 1000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("kib", 1024),
        ("mib", 1_048_576), ("gib", 1_073_741_824),
    ],
)  # fmt: skip
def test_each_unit_of_size_is_what_it_says(unit: str, in_bytes: int) -> None:
    assert TypeAdapter(Bytes).validate_python(f"3{unit}") == 3 * in_bytes


@pytest.mark.parametrize(("written", "as_share"), [("0.4", 0.4), ("5%", 0.05), ("2pp", 0.02), (0.7, 0.7)])
def test_each_unit_of_a_share_is_what_it_says(written: object, as_share: float) -> None:
    assert TypeAdapter(Share).validate_python(written) == as_share


def test_numbers_have_no_more_digits_than_they_were_written_with() -> None:
    assert TypeAdapter(Share).validate_python("7%") == 0.07  # 7 * 0.01 is 0.07000000000000001
    assert TypeAdapter(Milliseconds).validate_python("0.7ms") == 0.7


def test_editors_are_told_that_none_of_them_is_negative() -> None:
    for unit in (Seconds, Milliseconds, Share, Bytes):
        number, text = TypeAdapter(unit).json_schema()["anyOf"]
        assert (number["minimum"], text["type"]) == (0, "string")
        assert TypeAdapter(unit).validate_python(text["examples"][0]) > 0


@pytest.mark.parametrize("unit", [Seconds, Bytes, Share])
def test_a_refusal_names_the_units_that_there_are(unit: object) -> None:
    with pytest.raises(ValidationError, match=r"cannot be read; write a number and a unit of [a-z%]"):
        TypeAdapter(unit).validate_python("5 parsecs")
