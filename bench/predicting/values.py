"""Values of the options of `predict`, as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from bench.errors import UserError
from reports.prediction.model import Quota
from scenarios import units

_DAYS: Final = {"day": 1.0, "d": 1.0, "week": 1 / 7, "w": 1 / 7, "hour": 24.0, "h": 24.0, "": 1.0}
_EACH: Final = re.compile(r"\s*([0-9]+(?:[.][0-9]+)?)\s*(?:/\s*([a-z]+))?\s*", re.IGNORECASE)
_MOST_REPLICAS: Final = 64
_MOST_QUOTA: Final = 10**9
_MOST_VALUES: Final = 64
_Value = TypeVar("_Value", int, float)


def durations(written: Sequence[str], option: str = "--ttl") -> tuple[float, ...]:
    """Read TTLs: `5m,1h,6h`; in seconds, in the order of their length.

    Raises:
        UserError: one is no duration, or too long.
    """
    return _listed(written, option, lambda text: duration(text, option))


def duration(text: str, option: str, bare: str = "s") -> float:
    """Read one duration; in seconds.

    Raises:
        UserError: it is none, or longer than 10 years.
    """
    try:
        read = units.seconds(text, bare)
    except ValueError as error:
        raise UserError(f"{option} {text}: {error}") from error
    assert isinstance(read, float), "a text is read as a number"
    if read > 315_360_000:
        raise UserError(f"{option} {text}: is longer than ten years; write a duration such as 1h")
    return read


def replicas(written: Sequence[str]) -> tuple[int, ...]:
    """Read numbers of replicas: `6`, `2,4,8` or `1..16`.

    Raises:
        UserError: one is no whole number from 1 to 64.
    """

    def one(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= _MOST_REPLICAS:
            raise UserError(
                f"--replicas {text}: is no whole number from 1 to {_MOST_REPLICAS}; write 6, 2,4,8 or 1..16"
            )
        return int(text)

    spread = []
    for part in _parts(written):
        first, dots, last = part.partition("..")
        if dots and one(first) > one(last):
            raise UserError(f"--replicas {part}: ends before it begins; write {last}..{first}")
        spread += [str(n) for n in range(one(first), one(last) + 1)] if dots else [part]
    return _listed(spread, "--replicas", one)


def quota(text: str) -> Quota:
    """Read a quota: `5000/h`, or `5000`.

    Raises:
        UserError: it is none.
    """
    found = _EACH.fullmatch(text.replace(",", "").replace("_", ""))
    per = (found[2] or "h").lower() if found else ""
    if found is None or per not in ("h", "hour") or "." in found[1] or not 1 <= int(found[1]) <= _MOST_QUOTA:
        raise UserError(f"--quota {text}: is no number of calls an hour; write it as 5000/h")
    return Quota(calls=int(found[1]), per_s=3600.0)


def per_day(text: str, option: str = "--deploys") -> float:
    """Read how often something happens: `3/day`, `1/week`; in times a day.

    Raises:
        UserError: it is no such number, or more than 24 a day.
    """
    found = _EACH.fullmatch(text)
    per = (found[2] or "").lower() if found else "?"
    if found is None or per not in _DAYS:
        raise UserError(f"{option} {text}: is no number of times a day; write 3/day or 1/week")
    read = float(found[1]) * _DAYS[per]
    if read > 24:
        raise UserError(f"{option} {text}: is more than one an hour; write 24/day at most")
    return read


def size(text: str, option: str) -> int:
    """Read a size in bytes.

    Raises:
        UserError: it is none, or less than a Redis needs for itself.
    """
    try:
        read = units.size(text)
    except ValueError as error:
        raise UserError(f"{option} {text}: {error}") from error
    assert isinstance(read, int), "a text is read as a number"
    if read < 1_000_000:
        raise UserError(f"{option} {text}: a Redis needs 1MB at least for itself")
    return read


def milliseconds(text: str, option: str) -> float:
    """Read a latency in ms.

    Raises:
        UserError: it is none, or longer than a minute.
    """
    read = duration(text, option, bare="ms") * 1000
    if read > 60_000:
        raise UserError(f"{option} {text}: is longer than a minute; a bare number is in ms")
    return round(read, 9)


def positive(value: float, option: str) -> float:
    """Check a number above 0.

    Raises:
        UserError: it is not.
    """
    if not 0 < value < float("inf"):
        raise UserError(f"{option} {value:g}: must be above 0")
    return value


def _parts(written: Sequence[str]) -> list[str]:
    return [part.strip() for text in written for part in text.split(",") if part.strip()]


def _listed(written: Sequence[str], option: str, read: Callable[[str], _Value]) -> tuple[_Value, ...]:
    found = tuple(sorted({read(part) for part in _parts(written)}))
    if not found:
        raise UserError(f"{option}: names no value; write it as in sidecar-bench predict --help")
    if len(found) > _MOST_VALUES:
        raise UserError(f"{option}: {len(found)} values are too many; {_MOST_VALUES} at most")
    return found
