"""The lines of a block, read at once where they are plain, and one by one where they are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from traffic.logs.formats.entry import MOST_BYTES, Entry, shown
from traffic.logs.formats.entry import UNREADABLE as NOT_READ
from traffic.logs.formats.known import Format
from traffic.logs.formats.times import Clock

EMPTY: Final = "an empty line"
CUT: Final = "cut off at the end of the file"
UNREADABLE: Final = (NOT_READ, CUT)
_SIZE_BITS: Final = 42
BEFORE_COMPILED: Final = 4  # blocks that are read before numba is loaded, or has to compile at all
CACHEABLE: Final = ("GET", "HEAD")
COLUMNS: Final = {
    "at_us": np.int64,
    "keys": np.int32,
    "status": np.int16,
    "size": np.int64,
    "heads": np.bool_,
    "clients": np.int32,
}
# What is read at once: lines of which nothing is open. `clf.parse` reads them to the same result, in many
# times the time. Groups: virtual host, client, time, method, target, status with size; empty in other lines.
_PLAIN: Final = re.compile(
    rb"^(?:(?:([a-z0-9][a-z0-9.-]*[a-z][a-z0-9.-]*(?::\d{1,5})?) (?=\d{1,3}(?:\.\d{1,3}){3} ))?"
    rb'(?!- )([^\s",:\[\]\\\x00]+|[0-9a-f:]*:[0-9a-f]*:[0-9a-f:.]+) - '
    rb'[^\s"\[\]\\\x00]+ \[(\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
    rb'"(GET|HEAD) (/[!#-\[\]-~]{0,65000}) HTTP/\d\.\d" (\d{3} (?:\d{1,12}|-))(?:[ \r].*)?|.*)$',
    re.MULTILINE,
)

# Which lines of a block are plain, their columns, and the others with their places.
_Taken = tuple[Sequence[int] | NDArray[np.int32], dict[str, NDArray[Any]], list[tuple[int, bytes]]]


@dataclass
class Counted:
    """Lines of one kind: the first, and how many there are."""

    first: str
    lines: int = 0


class Numbers(dict[bytes, int]):
    """The number of each resource: as many as there were before it was first asked for."""

    def __missing__(self, resource: bytes) -> int:
        self[resource] = number = len(self)
        return number


class Clients(Numbers):
    """The number of each client's address; −1: the log names none."""

    def __init__(self) -> None:
        super().__init__()
        self[b""] = -1

    def __missing__(self, address: bytes) -> int:
        self[address] = number = len(self) - 1
        return number


class _Times(dict[bytes, int | None]):
    """Times by their text."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def __missing__(self, text: bytes) -> int | None:
        self[text] = found = self.clock.read(text)
        return found


class _Answers(dict[bytes, int]):
    """Status and size by their text, in one number: the size and one more, and above it the status."""

    def __missing__(self, text: bytes) -> int:
        size = -1 if text[4:] == b"-" else int(text[4:])
        code = int(text[:3]) << _SIZE_BITS | ((size if size <= MOST_BYTES else -1) + 1)
        if len(self) < 1_000_000:
            self[text] = code
        return code


@dataclass
class Lines:
    """What the lines of one file hold, as far as it has been read."""

    numbers: Numbers
    clients: Clients
    clock: Clock
    methods: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, Counted] = field(default_factory=dict)
    lines: int = 0
    blocks: list[dict[str, NDArray[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._times, self._answers = _Times(self.clock), _Answers()

    def take(self, block: bytes, form: Format) -> None:
        """Read a block of whole lines, the last of which may lack its end."""
        if form.prefix is not None:
            block = form.prefix.sub(b"", block)
        text, before = block.removesuffix(b"\n"), self.lines
        if form.plain and len(self.blocks) >= BEFORE_COMPILED:
            places, taken, odd = self._scanned(block)
        elif form.plain:
            places, taken, odd = self._found(text)
        else:
            places, taken, odd = [], self._plain([]), list(enumerate(text.split(b"\n")))
            self.lines += len(odd)
        if odd:
            cut = None if block.endswith(b"\n") else self.lines - before - 1
            more, entries = self._odd(odd, form, cut)
            order = np.argsort(np.concatenate((places, np.array(more, np.int64))), kind="stable")
            taken = {name: np.concatenate((taken[name], entries[name]))[order] for name in COLUMNS}
        self.blocks.append(taken)

    def _found(self, text: bytes) -> _Taken:
        """Read a block with a regular expression: what is plain, and the other lines."""
        found = _PLAIN.findall(text)
        self.lines += len(found)
        places = [at for at, line in enumerate(found) if line[2] and self._times[line[2]] is not None]
        if len(places) == len(found):
            return places, self._plain(found), []
        plain = set(places)
        odd = [(at, line) for at, line in enumerate(text.split(b"\n")) if at not in plain]
        return places, self._plain([found[at] for at in places]), odd

    def _scanned(self, block: bytes) -> _Taken:
        """Read a block with compiled code: what is plain, and the other lines."""
        from traffic.logs.compiled import grammar, scan  # numba: only where there is much to read

        found = scan.scan(block)
        self.lines += found.lines
        columns = found.columns
        heads = int(columns.heads.sum())
        self.methods["HEAD"] += heads
        self.methods["GET"] += columns.heads.size - heads
        for method, (lines, begin, end) in zip(grammar.OTHERS, found.others.tolist(), strict=True):
            if lines:
                self.methods[method] += lines
                self.leave_out(not_cached(method), block[begin:end], lines)
        numbers = [
            self.numbers[b"http://" + block[host:host_end] + block[at:end] if host_end else block[at:end]]
            for host, host_end, at, end in found.targets.tolist()
        ]
        clients = [self.clients[block[at:end]] for _, _, at, end in found.clients.tolist()]
        taken = _columns(
            columns.at_us,
            np.array(numbers, np.int32)[columns.targets],
            columns.status,
            columns.size,
            columns.heads,
            np.array(clients, np.int32)[columns.clients],
        )
        return columns.places, taken, [(place, block[begin:end]) for place, begin, end in found.odd.tolist()]

    def _plain(self, found: Sequence[tuple[bytes, ...]]) -> dict[str, NDArray[Any]]:
        hosts, clients, times, methods, targets, answers = zip(*found, strict=True) if found else ((),) * 6
        resources = targets
        if any(hosts):
            resources = tuple(
                b"http://" + host + target if host else target
                for host, target in zip(hosts, targets, strict=True)
            )
        heads = [method == b"HEAD" for method in methods] if b"HEAD" in methods else [False] * len(methods)
        self.methods["HEAD"] += sum(heads)
        self.methods["GET"] += len(heads) - sum(heads)
        codes = np.array([self._answers[text] for text in answers], np.int64)
        return _columns(
            [self._times[text] for text in times],
            [self.numbers[name] for name in resources],
            codes >> _SIZE_BITS,
            (codes & (1 << _SIZE_BITS) - 1) - 1,
            heads,
            [self.clients[client] for client in clients],
        )

    def _odd(
        self, lines: Sequence[tuple[int, bytes]], form: Format, cut: int | None
    ) -> tuple[list[int], dict[str, NDArray[Any]]]:
        """Read lines one by one; return where the requests stand. `cut`: the line that has no end."""
        places, entries = [], []
        for place, line in lines:
            entry = self._entry(line.removesuffix(b"\r"), form)
            if isinstance(entry, str):
                self.leave_out(CUT if place == cut and entry == NOT_READ else entry, line)
            else:
                places.append(place)
                entries.append(entry)
        resources = [self.numbers[resource(entry.host, entry.target)] for entry in entries]
        return places, _columns(
            [entry.at_us for entry in entries],
            resources,
            [entry.status for entry in entries],
            [entry.size for entry in entries],
            [entry.method == "HEAD" for entry in entries],
            [self.clients[entry.client] for entry in entries],
        )

    def _entry(self, line: bytes, form: Format) -> Entry | str:
        """Read one line; text says why it is left out."""
        if not line.strip(b"\x00 \t\r"):
            return EMPTY
        entry = form.parse(line, self.clock)
        if isinstance(entry, str):
            return entry
        self.methods[entry.method] += 1
        return entry if entry.method in CACHEABLE else not_cached(entry.method)

    def add(self, *columns: Any) -> None:
        """Add requests, a column for each of `COLUMNS`."""
        self.blocks.append(_columns(*columns))

    def leave_out(self, reason: str, line: bytes, lines: int = 1) -> None:
        """Count lines that are left out; the first of each reason is shown."""
        counted = self.left_out.setdefault(reason, Counted(shown(line)))
        counted.lines += lines


def not_cached(method: str) -> str:
    """Return why a request is left out whose method no cache answers."""
    return f"method {method}: not cached"


def resource(host: bytes, target: bytes) -> bytes:
    """Return what a resource is called: its target, with its host before it where the log has one."""
    return b"http://" + host + target if host else target


def _columns(*values: Any) -> dict[str, NDArray[Any]]:
    return {
        name: np.array(column, kind) for (name, kind), column in zip(COLUMNS.items(), values, strict=True)
    }
