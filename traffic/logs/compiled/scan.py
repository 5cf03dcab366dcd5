"""Plain lines of Common and Combined Log Format, a block at a time, compiled by numba.

Targets and clients are numbered within the block; whoever asks looks up each of them once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from traffic.logs.compiled.grammar import (
    END,
    NO_TIME,
    OTHERS,
    PARTS,
    TIME,
    Bytes,
    Integers,
    moment,
    plain,
    same,
)


class Columns(NamedTuple):
    """GET and HEAD requests, a column for each fact; `places` says which lines of the block they are.

    `targets` and `clients` are numbers within the block.
    """

    at_us: NDArray[np.int64]
    targets: NDArray[np.int32]
    status: NDArray[np.int16]
    size: NDArray[np.int64]
    heads: NDArray[np.bool_]
    clients: NDArray[np.int32]
    places: NDArray[np.int32]


class Scanned(NamedTuple):
    """The lines of a block: the plain ones as columns, and where those are that are not plain.

    `targets` has, for each target that differs, where its host and it itself begin and end in the block;
    `clients` the same for clients. `others`: for each of `OTHERS`, how many plain lines have that method, and
    where the first begins and ends. `odd`: number, begin and end of each line that is not plain.
    """

    columns: Columns
    targets: Integers
    clients: Integers
    others: Integers
    odd: Integers
    lines: int


class _Seen(NamedTuple):
    """Texts that were seen: a hash table of numbers, and by number their hash and where they stand."""

    slots: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    places: Integers


def scan(block: bytes) -> Scanned:
    """Read the plain lines of a block of whole lines, the last of which may lack its end."""
    data = np.frombuffer(block, np.uint8)
    most = int(np.count_nonzero(data == END)) + 1
    targets, clients = _seen(most), _seen(most)
    columns = Columns(
        np.empty(most, np.int64),
        np.empty(most, np.int32),
        np.empty(most, np.int16),
        np.empty(most, np.int64),
        np.empty(most, np.bool_),
        np.empty(most, np.int32),
        np.empty(most, np.int32),
    )
    others, odd = np.zeros((len(OTHERS), 3), np.int64), np.empty((most, 3), np.int64)
    found, n_targets, n_clients, n_odd, lines = _scan(data, columns, targets, clients, others, odd)
    taken = Columns._make(column[:found] for column in columns)
    return Scanned(taken, targets.places[:n_targets], clients.places[:n_clients], others, odd[:n_odd], lines)


def _seen(most: int) -> _Seen:
    slots = 1 << max(4, (2 * most).bit_length())
    return _Seen(np.full(slots, -1, np.int32), np.empty(most, np.uint64), np.empty((most, 4), np.int64))


@njit(cache=True)
def _scan(
    data: Bytes, columns: Columns, targets: _Seen, clients: _Seen, others: Integers, odd: Integers
) -> tuple[int, int, int, int, int]:
    """Fill the columns; return how many requests, targets, clients, odd lines and lines there are."""
    found, n_targets, n_clients, n_odd, line, begin = 0, 0, 0, 0, 0, 0
    last, last_us = -1, 0
    part = np.zeros(PARTS, np.int64)
    while begin < data.size:
        after = plain(data, begin, part)
        if after >= 0 and (last < 0 or not same(data, part[4], last, TIME)):
            last, last_us = part[4], moment(data, part[4])
        is_plain = after >= 0 and last_us != NO_TIME
        end = (
            after if is_plain else begin
        )  # what looked plain may go over a line's end, in a time that is none
        while end < data.size and data[end] != END:
            end += 1
        if not is_plain:
            odd[n_odd, 0], odd[n_odd, 1], odd[n_odd, 2] = line, begin, end
            n_odd += 1
        elif part[5] > 1:
            other = part[5] - 2
            if others[other, 0] == 0:
                others[other, 1], others[other, 2] = begin, end
            others[other, 0] += 1
        else:
            target = _number(data, part[0], part[1], part[6], part[7], targets, n_targets)
            client = _number(data, 0, 0, part[2], part[3], clients, n_clients)
            n_targets, n_clients = max(n_targets, target + 1), max(n_clients, client + 1)
            columns.at_us[found], columns.targets[found], columns.clients[found] = last_us, target, client
            columns.heads[found], columns.status[found] = part[5] == 1, part[8]
            columns.size[found], columns.places[found] = part[9], line
            found += 1
        begin = end + 1
        line += 1
    return found, n_targets, n_clients, n_odd, line


@njit(cache=True)
def _number(data: Bytes, host: int, host_end: int, begin: int, end: int, seen: _Seen, known: int) -> int:
    """Return the number of a text, with its host before it: `known` where it was not seen before."""
    code = np.uint64(14_695_981_039_346_656_037)  # FNV-1a, 64 bits
    for at in range(host, host_end):
        code = (code ^ np.uint64(data[at])) * np.uint64(1_099_511_628_211)
    for at in range(begin, end):
        code = (code ^ np.uint64(data[at])) * np.uint64(1_099_511_628_211)
    mask = np.uint64(seen.slots.size - 1)
    slot = (code ^ (code >> np.uint64(32))) & mask
    while seen.slots[slot] >= 0:
        number = seen.slots[slot]
        place = seen.places[number]
        if (
            seen.hashes[number] == code
            and place[1] - place[0] == host_end - host
            and place[3] - place[2] == end - begin
            and same(data, host, place[0], host_end - host)
            and same(data, begin, place[2], end - begin)
        ):
            return int(number)
        slot = (slot + np.uint64(1)) & mask
    seen.slots[slot], seen.hashes[known] = known, code
    seen.places[known, 0], seen.places[known, 1] = host, host_end
    seen.places[known, 2], seen.places[known, 3] = begin, end
    return known
