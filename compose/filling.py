"""Fills the caches of a deployment before its load: `app.warm`, once for each place that reaches them.

The processes fetch what is wanted while the load generator gets ready, and store it shortly before a moment
from which the lifetimes count: the moment at which the load begins.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from compose.host import interrupts, sealed
from compose.host.commands import how_it_ended
from compose.host.interrupts import shielded
from compose.stack import Filling, Held, StackError
from scenarios.facts import FillingFacts

_PATIENCE_S: Final = 120.0
_LOOK_S: Final = 0.1
_LAST_LINES: Final = 5
# The stub answers at once and on the same machine: what limits it is the CPU.
OPTIONS: Final = ("--hold", "--rate", "1e6", "--concurrency", "32")


@dataclass(frozen=True)
class Place:
    """Where caches are filled from: a command that runs `app.warm`, its log, and the caches that it fills.

    `environment` is the command's own; None: this process's.
    """

    command: Sequence[str]
    log: Path
    caches: Sequence[int]
    environment: Mapping[str, str] | None = None


class _Warmer:
    """One `app.warm`."""

    def __init__(self, place: Place, held: Sequence[Held]) -> None:
        self._log = place.log
        self._lines = _lines(held, place.caches)
        with place.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(place.command), text=True, start_new_session=True, env=place.environment,
                cwd=sealed.CWD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def fetch(self) -> dict[str, Any]:
        """Hand over the names, and wait until they are fetched."""
        return self._told(f"{self._lines}\n")

    def store(self, begin_s: float) -> dict[str, Any]:
        """Have all stored whose lifetimes count from a moment (Unix time)."""
        return self._told(f"{begin_s!r}\n")

    def end(self) -> None:
        """End it at once: whoever waits for what it says is told that it has ended."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close what it was spoken to by."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _told(self, text: str) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already: its log says why
            process.stdin.write(text)
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            words = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            how = how_it_ended(process.wait())
            raise StackError(
                f"the caches cannot be filled: app.warm {how}", "warm", "\n".join(words[-_LAST_LINES:])
            )
        told: dict[str, Any] = json.loads(line)
        return told


class Warming(Filling):
    """Caches that are being filled; `fetched_all` is called once everything has been fetched."""

    def __init__(
        self, places: Sequence[Place], held: Sequence[Held], fetched_all: Callable[[], None]
    ) -> None:
        self._places = places
        self._held = held
        self._fetched_all = fetched_all
        self._warmers: list[_Warmer] = []
        self._pool = ThreadPoolExecutor(len(places))
        self._fetching: list[Future[dict[str, Any]]] = []
        self._calls = 0

    def __enter__(self) -> Warming:
        try:
            # From this thread: children end with the thread that started them.
            for place in self._places:
                self._warmers.append(_Warmer(place, self._held))
        except BaseException:
            self.close()
            raise
        self._fetching = [self._pool.submit(warmer.fetch) for warmer in self._warmers]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with shielded():
            for warmer in self._warmers:
                warmer.end()
            self._pool.shutdown()
            for warmer in self._warmers:
                warmer.close()
            self._warmers.clear()

    def fetched(self) -> None:
        self._calls = sum(int(each["calls"]) for each in _all(self._fetching))
        self._fetched_all()

    def store(self, begin_s: float) -> FillingFacts:
        told = _all([self._pool.submit(warmer.store, begin_s) for warmer in self._warmers])
        failed: Counter[str] = Counter()
        for each in told:
            failed.update(each["failed"])
        wanted, filled = (sum(int(each[name]) for each in told) for name in ("wanted", "filled"))
        return FillingFacts(wanted=wanted, filled=filled, failed=dict(failed), calls=self._calls)


def _all(waited_for: Sequence[Future[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return what each of them comes to; an interrupt is heard meanwhile."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while wait(waited_for, _LOOK_S).not_done:
        interrupts.check()
        if time.monotonic() > deadline_s:
            raise StackError(f"the caches are not filled after {_PATIENCE_S:g} s", "warm")
    return [each.result() for each in waited_for]


def _lines(held: Sequence[Held], caches: Sequence[int]) -> str:
    """Return what `app.warm` reads of some caches: a line for each name, with seconds for each cache."""
    columns = {cache: column for column, cache in enumerate(caches)}
    rows: dict[str, list[str]] = {}
    for each in held:
        column = columns.get(each.cache)
        if column is not None:
            row = rows.setdefault(each.target, ["-"] * len(caches))
            row[column] = f"{each.left_s:.6f}"
    return "".join(f"{','.join(row)} {target}\n" for target, row in rows.items())
