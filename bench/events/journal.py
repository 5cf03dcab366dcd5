"""`events.jsonl` in a run's folder: one event a line, for processes that follow the run or come late."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from bench.events.model import Event
from bench.store import disk_errors
from compose.host import interrupts

EVENTS: Final = "events.jsonl"
_CHUNK: Final = 65536


class Journal:
    """Appends events to the file of a run whose lock is held; a session that resumes the run numbers on.

    Each event is written by one system call, and what an earlier session has left of a line is removed: a
    reader sees whole lines, or a last one without an end.
    """

    def __init__(self, run: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Open the file, or make it.

        Raises:
            UserError: it cannot be written.
        """
        self._path = run / EVENTS
        self._now = now
        with disk_errors(self._path):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o666)
            self._size, self.seq = _whole(self._fd)
            os.ftruncate(self._fd, self._size)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def __call__(self, event: Event) -> None:
        """Append an event.

        Raises:
            UserError: the disk is full, or the file cannot be written; nothing of the event is in it.
        """
        at = self._now().astimezone(UTC).isoformat(timespec="milliseconds")
        fields = {"seq": self.seq + 1, "at": at} | event.model_dump(mode="json")
        line = (json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
        with interrupts.held(), disk_errors(self._path):
            try:
                self._write(line)
            except OSError:
                os.ftruncate(self._fd, self._size)
                raise
            self._size += len(line)
            self.seq += 1

    def _write(self, line: bytes) -> None:
        at = self._size
        while line:  # the kernel takes less than all of it only where the disk is full
            written = os.pwrite(self._fd, line, at)
            at, line = at + written, line[written:]


def _whole(fd: int) -> tuple[int, int]:
    """Return the length of the whole lines of a file, and their number."""
    size = lines = at = 0
    while chunk := os.pread(fd, _CHUNK, at):
        lines += chunk.count(b"\n")
        if (end := chunk.rfind(b"\n")) >= 0:
            size = at + end + 1
        at += len(chunk)
    return size, lines
