"""Reads the events of a run: those that are written, and those to come while it is under way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bench.events.journal import EVENTS
from bench.events.model import Event
from bench.store import LOCK
from compose.host.locks import is_held
from reports.errors import ResultsError

POLL_S: Final = 0.2


class _Envelope(BaseModel):
    """What every line has beside its event."""

    model_config = ConfigDict(extra="allow")

    seq: int
    at: datetime


_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)


@dataclass(frozen=True)
class Told:
    """An event, its number in the run from 1, and when it was told."""

    seq: int
    at: datetime
    event: Event


class Reader:
    """Reads a run's events in order, as far as they are written; ask again for those that came since."""

    def __init__(self, run: Path, after: int = 0) -> None:
        """Begin after the event of this number."""
        self._path = run / EVENTS
        self._after = after
        self._offset = 0
        self._line = 0

    def read(self) -> Iterator[Told]:
        """Yield the events that were not read yet. A line that is being written is left for later.

        Raises:
            ResultsError: the file cannot be read, or is not what a run writes.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    self._line += 1
                    told = self._told(line)
                    if told.seq > self._after:
                        yield told
        except FileNotFoundError:
            return
        except OSError as error:
            raise ResultsError(f"{self._path}: cannot be read ({error.strerror})") from error

    def _told(self, line: bytes) -> Told:
        try:
            envelope = _Envelope.model_validate_json(line)
            event = _EVENT.validate_python(envelope.model_extra)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ResultsError(
                f"{self._path}, line {self._line}: is no event that this version of sidecar-bench knows "
                f"({first['msg']}); the run's trials are stored apart from it"
            ) from error
        return Told(envelope.seq, envelope.at, event)


def follow(run: Path, after: int = 0, poll_s: float = POLL_S) -> Iterator[Told]:
    """Yield a run's events after the one of this number, as they come, until nobody writes any more.

    Ends when the run has ended, and when the process that wrote has gone without saying so.

    Raises:
        ResultsError: the file cannot be read, or is not what a run writes.
    """
    reader = Reader(run, after)
    while True:
        live = is_live(run)  # looked at first: what was written before it ended is read below
        yield from reader.read()
        if not live:
            return
        time.sleep(poll_s)


def is_live(run: Path) -> bool:
    """Tell whether a process holds the run, as far as that can be seen from here."""
    return is_held(run / LOCK) is True
