"""What a plain line of Common or Combined Log Format is: one without escapes, prefixes or anything odd.

Compiled by numba: these functions read bytes in place. `clf.parse` reads such lines to the same result.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from traffic.logs.formats.entry import MOST_BYTES

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
TIME: Final = 26  # bytes of 14/Mar/2025:09:00:00 +0000
NO_TIME: Final = -(2**62)
END: Final = 10  # of a line
PARTS: Final = 10  # of a line, as `plain` takes it apart
# Methods that are not cached, and yet are in every third line of some logs.
OTHERS: Final = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NAMES: Final = [name.encode() + b" " for name in ("GET", "HEAD", *OTHERS)]
_METHODS: Final = np.frombuffer(b"".join(_NAMES), np.uint8)
_ENDS: Final = np.cumsum([len(name) for name in _NAMES])
_BEGINS: Final = _ENDS - np.array([len(name) for name in _NAMES])
_MONTHS: Final = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8)
_LENGTHS: Final = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_LONGEST: Final = 65_000  # of a target
_DIGITS: Final = 12  # of a size
_SPACE, _QUOTE, _PLUS, _COMMA, _MINUS, _DOT, _SLASH, _COLON = 32, 34, 43, 44, 45, 46, 47, 58
_OPEN, _BACKSLASH, _CLOSE = 91, 92, 93


@njit(cache=True)
def plain(data: Bytes, at: int, part: Integers) -> int:
    """Take a line apart; return where its plain part ends, −1 where it has none.

    `part`: begin and end of the host and of the client, begin of the time, the method (0 GET, 1 HEAD, then
    `OTHERS`), begin and end of the target, status, size.
    """
    second = _word(data, at) + 1
    if second <= at + 1:
        return -1
    part[0], part[1], part[2], part[3] = 0, 0, at, second - 1
    if not _is(data, second, _MINUS, _SPACE):
        end = _word(data, second)
        if not (_is_host(data, at, second - 1) and _is_ipv4(data, second, end)):
            return -1
        part[0], part[1], part[2], part[3] = at, second - 1, second, end
        second = end + 1
    if not (_is(data, second, _MINUS, _SPACE) and _is_client(data, part[2], part[3])):
        return -1
    user = second + 2
    end = _word(data, user)
    if end <= user or not _is(data, end, _SPACE, _OPEN):
        return -1
    part[4] = end + 2
    return _request(data, end + 2 + TIME, part)


@njit(cache=True)
def _request(data: Bytes, at: int, part: Integers) -> int:
    """Read what follows the time: request, status and size; return where they end, or −1."""
    if not (_is(data, at, _CLOSE, _SPACE) and _at(data, at + 2) == _QUOTE):
        return -1
    at += 3
    method = 0
    while method < _ENDS.size and not _starts(data, at, _BEGINS[method], _ENDS[method]):
        method += 1
    if method == _ENDS.size:
        return -1
    part[5], at = method, at + _ENDS[method] - _BEGINS[method]
    begin = at
    if _at(data, at) != _SLASH:
        return -1
    while 33 <= _at(data, at) <= 126 and data[at] != _QUOTE and data[at] != _BACKSLASH:
        at += 1
    part[6], part[7] = begin, at
    if at - begin > _LONGEST or not (_is(data, at, _SPACE, 72) and _is(data, at + 2, 84, 84)):
        return -1
    if not (_is(data, at + 4, 80, _SLASH) and _digit(data, at + 6) and _at(data, at + 7) == _DOT):
        return -1
    if not (_digit(data, at + 8) and _is(data, at + 9, _QUOTE, _SPACE)):
        return -1
    return _answer(data, at + 11, part)


@njit(cache=True)
def _answer(data: Bytes, at: int, part: Integers) -> int:
    """Read status and size; return where they end, or −1."""
    if not (_digit(data, at) and _digit(data, at + 1) and _digit(data, at + 2)):
        return -1
    if _at(data, at + 3) != _SPACE:
        return -1
    part[8] = _two(data, at) * 10 + _at(data, at + 2) - 48
    begin, at, size = at + 4, at + 4, 0
    while at - begin <= _DIGITS and _digit(data, at):
        size = size * 10 + _at(data, at) - 48
        at += 1
    if at == begin and _at(data, at) == _MINUS:
        size, at = -1, at + 1
    if at == begin or at - begin > _DIGITS or _at(data, at) not in (-1, END, 13, _SPACE):
        return -1
    part[9] = size if size <= MOST_BYTES else -1
    return at


@njit(cache=True)
def moment(data: Bytes, at: int) -> int:
    """Return a time in µs since 1970, as `Clock` reads it; `NO_TIME` where it is none."""
    for place, sign in ((2, _SLASH), (6, _SLASH), (11, _COLON), (14, _COLON), (17, _COLON), (20, _SPACE)):
        if data[at + place] != sign:
            return NO_TIME
    for place in (0, 1, 7, 8, 9, 10, 12, 13, 15, 16, 18, 19, 22, 23, 24, 25):
        if not _digit(data, at + place):
            return NO_TIME
    month = _month(data, at + 3)
    day, hour, minute, second = _two(data, at), _two(data, at + 12), _two(data, at + 15), _two(data, at + 18)
    if month == 0 or not 1 <= day <= _LENGTHS[month - 1] or hour > 23 or minute > 59 or second > 60:
        return NO_TIME
    zone = _two(data, at + 22) * 60 + _two(data, at + 24)
    if data[at + 21] == _MINUS:
        zone = -zone
    elif data[at + 21] != _PLUS:
        return NO_TIME
    days = _days(_two(data, at + 7) * 100 + _two(data, at + 9), month, day)
    return (days * 86_400 + hour * 3600 + minute * 60 + second - zone * 60) * 1_000_000


@njit(cache=True)
def _month(data: Bytes, at: int) -> int:
    """Return a month by its three letters; 0: there is none."""
    for name in range(12):
        first = 3 * name
        if data[at] == _MONTHS[first] and _is(data, at + 1, _MONTHS[first + 1], _MONTHS[first + 2]):
            return name + 1
    return 0


@njit(cache=True)
def _days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01, as `times.days` does."""
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@njit(cache=True)
def _is_client(data: Bytes, begin: int, end: int) -> bool:
    """Tell a word that is a client's address, and nothing that `clf.parse` would have to take apart."""
    colons, hexadecimal = 0, True
    for at in range(begin, end):
        sign = data[at]
        if sign == _COMMA:
            return False
        colons += sign == _COLON
        hexadecimal &= 48 <= sign <= 58 or 97 <= sign <= 102 or sign == _DOT
    if end - begin == 1 and data[begin] == _MINUS:
        return False
    return colons == 0 or (colons >= 2 and hexadecimal)


@njit(cache=True)
def _is_host(data: Bytes, begin: int, end: int) -> bool:
    """Tell a virtual host, in lower case and not all digits, with or without its port."""
    letters, at = 0, begin
    while at < end and data[at] != _COLON:
        sign = data[at]
        letter = 97 <= sign <= 122
        if not (letter or 48 <= sign <= 57 or (at > begin and sign in (_DOT, _MINUS))):
            return False
        letters += letter and at > begin
        at += 1
    if letters == 0:
        return False
    for place in range(at + 1, end):
        if not _digit(data, place):
            return False
    return at == end or 1 <= end - at - 1 <= 5


@njit(cache=True)
def _is_ipv4(data: Bytes, begin: int, end: int) -> bool:
    dots, digits = 0, 0
    for at in range(begin, end):
        if data[at] == _DOT and 1 <= digits <= 3:
            dots, digits = dots + 1, 0
        elif _digit(data, at):
            digits += 1
        else:
            return False
    return dots == 3 and 1 <= digits <= 3


@njit(cache=True)
def _word(data: Bytes, at: int) -> int:
    """Return where a word ends that a space follows; where it begins, if it is none."""
    begin = at
    while at < data.size and data[at] > _SPACE:
        if data[at] == _QUOTE or _OPEN <= data[at] <= _CLOSE:
            return begin
        at += 1
    return at if _at(data, at) == _SPACE else begin


@njit(cache=True)
def same(data: Bytes, one: int, other: int, length: int) -> bool:
    """Tell whether the same bytes stand at two places."""
    for place in range(length):  # noqa: SIM110 (numba compiles no generators)
        if data[one + place] != data[other + place]:
            return False
    return True


@njit(cache=True)
def _starts(data: Bytes, at: int, begin: int, end: int) -> bool:
    """Tell whether a method, with the space behind it, stands at a place."""
    if at + end - begin > data.size:
        return False
    for place in range(begin, end):  # noqa: SIM110 (numba compiles no generators)
        if data[at + place - begin] != _METHODS[place]:
            return False
    return True


@njit(cache=True)
def _at(data: Bytes, at: int) -> int:
    return int(data[at]) if at < data.size else -1


@njit(cache=True)
def _is(data: Bytes, at: int, first: int, second: int) -> bool:
    return at + 1 < data.size and data[at] == first and data[at + 1] == second


@njit(cache=True)
def _digit(data: Bytes, at: int) -> bool:
    return at < data.size and 48 <= data[at] <= 57


@njit(cache=True)
def _two(data: Bytes, at: int) -> int:
    return (int(data[at]) - 48) * 10 + int(data[at + 1]) - 48
