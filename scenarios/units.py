"""Durations and sizes as people write them (`250us`, `5s`, `64MB`), read into plain numbers.

A bare number is in the unit that the field's name states (`rtt_ms: 0.3`), otherwise in seconds
or bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS: Final = {
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_BYTES: Final = {
    "": 1, "b": 1,
    "kb": 1000, "mb": 1000**2, "gb": 1000**3,
    "kib": 1024, "mib": 1024**2, "gib": 1024**3,
}  # fmt: skip
_SHARES: Final = {"": 1.0, "%": 0.01, "pp": 0.01}
_QUANTITY: Final = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([^\s0-9]*)\s*")


def _quantity(text: str, units: dict[str, float] | dict[str, int], example: str) -> tuple[float, str]:
    found = _QUANTITY.fullmatch(text)
    # Keyboards have the Greek letter mu, and upper case makes it of the micro sign.
    unit = found[2].lower().replace("μ", "µ") if found else ""
    if found is None or (unit and unit not in units):
        known = ", ".join(unit for unit in units if unit)
        raise ValueError(f"{text!r} cannot be read; write a number and a unit of {known}, such as {example}")
    return float(found[1]), unit


def seconds(value: object, bare: str = "s") -> object:
    """Read a duration into seconds; a number without a unit is in `bare`.

    Anything that is neither text nor a number is handed back for pydantic to refuse.

    Raises:
        ValueError: the text is no duration.
    """
    if isinstance(value, bool):
        raise ValueError("a duration is a number with a unit, such as 5s")  # noqa: TRY004 (pydantic wants ValueError)
    if isinstance(value, int | float):
        return value * _SECONDS[bare]
    if isinstance(value, str):
        number, unit = _quantity(value, _SECONDS, "250us, 5s or 1h")
        return number * _SECONDS[unit or bare]
    return value


def _milliseconds(value: object) -> object:
    read = seconds(value, bare="ms")
    # Rounded, so that "0.3ms" and 0.3 are the same level of a factor.
    return round(read * 1000, 9) if isinstance(read, int | float) else read


def size(value: object) -> object:
    """Read a size into bytes (`64MB` is 64,000,000; `64MiB` is 67,108,864).

    Raises:
        ValueError: the text is no size.
    """
    if isinstance(value, str):
        number, unit = _quantity(value, _BYTES, "4KiB or 64MB")
        return round(number * _BYTES[unit])
    return value


def share(value: object) -> object:
    """Read a share: `5%` is 0.05, and `1pp` (a percentage point) is 0.01; a bare number is itself.

    Raises:
        ValueError: the text is no share.
    """
    if isinstance(value, str):
        number, unit = _quantity(value, _SHARES, "5% or 1pp")
        return round(number * _SHARES[unit], 12)
    return value


def _described(
    read: Callable[[object], object], number: str, example: str
) -> tuple[BeforeValidator, WithJsonSchema]:
    schema = {"anyOf": [{"type": number, "minimum": 0}, {"type": "string", "examples": [example]}]}
    return BeforeValidator(read), WithJsonSchema(schema, mode="validation")


Seconds = Annotated[float, *_described(seconds, "number", "5s")]
Milliseconds = Annotated[float, *_described(_milliseconds, "number", "0.3ms")]
Share = Annotated[float, *_described(share, "number", "5%")]
Bytes = Annotated[int, *_described(size, "integer", "64MB")]
