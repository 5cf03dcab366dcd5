"""Reads logs that are Parquet files, by the names of their columns.

Texts are looked at once each and not once a row, so that a file costs little more than its different texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from traffic.logs.errors import LogError
from traffic.logs.formats import fields
from traffic.logs.formats.entry import MOST_BYTES, NO_STATUS
from traffic.logs.formats.fields import Raw, address
from traffic.logs.formats.request_line import Asked
from traffic.logs.formats.times import Clock
from traffic.logs.lines import CACHEABLE, Lines, not_cached, resource

_MAGIC: Final = b"PAR1"
_ROWS: Final = 1 << 19  # at once
_NO_TIME: Final = "a row without a time"
_TEXTS: Final = ("request", "method", "url", "query", "host")  # what says what was asked for
_UNITS: Final = (1e11, 1e14, 1e17)  # below the first are seconds, then ms, then µs, as `Clock` has them
_FROM_US: Final = -62_135_596_800_000_000  # the year 1
_UNTIL_US: Final = 253_402_300_800_000_000  # the year 10,000


def is_parquet(name: str) -> bool:
    """Tell a Parquet file by its first bytes; what can be read but once is none."""
    path = Path(name)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def take(name: str, lines: Lines, given: Mapping[str, str] | None) -> str:
    """Read a file's rows; return which column was taken as what.

    Raises:
        LogError: it is damaged, or has no columns for a time and a path.
    """
    try:
        with pq.ParquetFile(name) as file:
            roles = _roles(name, file.schema_arrow, given)
            for batch in file.iter_batches(_ROWS, columns=sorted(set(roles.values()))):
                _take(batch, roles, lines)
    except (pa.ArrowException, OSError, ValueError) as error:  # names that are no UTF-8 are a ValueError
        raise LogError(f"{name}: the Parquet file is damaged ({error}); get an undamaged copy") from error
    return fields.spoken(roles)


def _roles(name: str, schema: Any, given: Mapping[str, str] | None) -> dict[str, str]:
    try:
        roles = fields.chosen(schema.names, given)
    except LogError as error:
        raise LogError(f"{name}: {error}") from None
    if not fields.suffices(roles):
        raise LogError(
            f"{name}: the Parquet file has no columns that are known to be a time and a path; it has "
            f"{', '.join(schema.names[:20])}. Name them: --log-format 'time=when, path=where'"
        )
    return roles


def _take(batch: Any, roles: Mapping[str, str], lines: Lines) -> None:
    columns = {role: batch.column(name) for role, name in roles.items()}
    at_us, timed = _times(columns["time"], lines.clock)
    number, asked = _asked(columns, batch.num_rows)
    status, answered = _statuses(columns.get("status"), batch.num_rows)
    reasons = [_reason(one) for one in asked]
    open_ = np.array([not reason for reason in reasons], np.bool_)[number]
    of_number = {reason: np.array([one == reason for one in reasons]) for reason in {*reasons} - {""}}
    counts = np.bincount(number[timed & answered], minlength=len(asked))
    for one, count in zip(asked, counts.tolist(), strict=True):
        if isinstance(one, Asked) and count:
            lines.methods[one.method] += count
    whys = {_NO_TIME: ~timed} | {
        reason: timed & ~open_ & which[number] for reason, which in of_number.items()
    }
    whys[NO_STATUS] = timed & open_ & ~answered
    for why, rows in whys.items():
        if rows.any():
            first = int(rows.argmax())
            row = f"row {lines.lines + first + 1}: {batch.slice(first, 1).to_pylist()[0]}"
            lines.leave_out(why, row.encode("utf-8", "backslashreplace"), int(rows.sum()))
    lines.lines += batch.num_rows
    kept = timed & open_ & answered
    resources = {
        at: lines.numbers[resource(asked[at].host, asked[at].target)]
        for at in np.unique(number[kept]).tolist()
    }
    keys = np.array([resources.get(at, -1) for at in range(len(asked))], np.int32)
    heads = np.array([isinstance(one, Asked) and one.method == "HEAD" for one in asked], np.bool_)
    lines.add(
        at_us[kept],
        keys[number][kept],
        status[kept],
        _sizes(columns.get("size"), batch.num_rows)[kept],
        heads[number][kept],
        _clients(columns.get("client"), batch.num_rows, lines)[kept],
    )


def _reason(one: Asked | str) -> str:
    """Return why a row is left out by what it asks for; empty: it is not."""
    if isinstance(one, str):
        return one
    return "" if one.method in CACHEABLE else not_cached(one.method)


def _asked(columns: Mapping[str, Any], rows: int) -> tuple[NDArray[np.int64], list[Any]]:
    """Return, for each row, the number of what it asks for, and what each number asks for."""
    texts = {role: _texts(columns[role]) for role in _TEXTS if role in columns}
    codes = np.stack([code for code, _ in texts.values()], axis=1)
    combined = np.zeros(rows, np.int64)
    for place, (_, words) in enumerate(texts.values()):
        combined = combined * len(words) + codes[:, place]
        _, combined = np.unique(combined, return_inverse=True)  # small again, whatever was combined
    _, first = np.unique(combined, return_index=True)
    asked = []
    for row in codes[first].tolist():
        parts = {role: known[code] for code, (role, (_, known)) in zip(row, texts.items(), strict=True)}
        asked.append(fields.asked_for(Raw(b"", **parts)))
    return combined, asked


def _texts(column: Any) -> tuple[NDArray[np.int64], list[bytes]]:
    """Return a column as numbers of texts, and the texts; a null is the empty text."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = _as_text(column)
    encoded = column.fill_null(b"" if "binary" in str(column.type) else "").dictionary_encode()
    words = [word if isinstance(word, bytes) else word.encode() for word in encoded.dictionary.to_pylist()]
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), words or [b""]


def _as_text(column: Any) -> Any:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        return pa.array([str(value) for value in column.to_pylist()], pa.string())


def _times(column: Any, clock: Clock) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times in µs since the epoch, and which rows have one."""
    kind = column.type
    if pa.types.is_date(kind):
        column, kind = column.cast(pa.timestamp("s")), pa.timestamp("s")
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            clock.zones.setdefault("", "UTC")
        in_us = column.cast(pa.timestamp("us", kind.tz), safe=False)
        at_us, timed = _integers(in_us.cast(pa.int64()))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        at_us, timed = _scaled(column)
    else:
        number, words = _texts(column)
        read = [clock.read(word) for word in words]
        timed = np.array([at is not None for at in read], np.bool_)[number]
        at_us = np.array([at or 0 for at in read], np.int64)[number]
    timed &= (at_us >= _FROM_US) & (at_us < _UNTIL_US)
    clock.fractions |= bool((at_us[timed] % 1_000_000).any())
    return at_us, timed


def _scaled(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Take numbers as seconds, ms, µs or ns, by how large they are."""
    values = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    timed = np.isfinite(values) & (np.abs(values) < 1e19)
    values = np.where(timed, values, 0.0)
    large = [np.abs(values) < most for most in _UNITS]
    if pa.types.is_integer(column.type):
        whole, _ = _integers(column)  # all digits, which a float has not
        return np.select(large, [whole * 1_000_000, whole * 1000, whole], whole // 1000), timed
    scaled = np.select(large, [values * 1_000_000, values * 1000, values], values / 1000)
    return np.rint(scaled).astype(np.int64), timed


def _integers(column: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    there = column.is_valid().to_numpy(zero_copy_only=False)
    return column.cast(pa.int64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False), there


def _numbers(column: Any, read: Callable[[bytes], int]) -> NDArray[np.int64]:
    """Return a column of whole numbers, of whatever type it is."""
    if pa.types.is_integer(column.type):
        numbers, there = _integers(column)
        return np.where(there, numbers, -1)
    number, words = _texts(column)
    return np.array([read(word) for word in words], np.int64)[number]


def _statuses(column: Any, rows: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    if column is None:
        return np.full(rows, 200, np.int16), np.ones(rows, np.bool_)
    numbers = _numbers(column, lambda text: int(text) if text.isdigit() and len(text) < 4 else -1)
    answered = (numbers >= 0) & (numbers < 1000)
    return np.where(answered, numbers, 0).astype(np.int16), answered


def _sizes(column: Any, rows: int) -> NDArray[np.int64]:
    if column is None:
        return np.full(rows, -1, np.int64)
    numbers = _numbers(column, lambda text: int(text) if text.isdigit() and len(text) < 14 else -1)
    return np.where((numbers < 0) | (numbers > MOST_BYTES), -1, numbers)


def _clients(column: Any, rows: int, lines: Lines) -> NDArray[np.int32]:
    if column is None:
        return np.full(rows, -1, np.int32)
    number, words = _texts(column)
    return np.array([lines.clients[address(word)] for word in words], np.int32)[number]
