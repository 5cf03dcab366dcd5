"""Runs on disk: made once, added to trial by trial, never rewritten; see `reports.records`."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from bench.errors import UserError
from reports.records import RunEnd, RunRecord, TrialRecord

DEFAULT_ROOT: Final = Path("results")
RUN: Final = "run.json"
TRIAL: Final = "trial.json"
END: Final = "end.json"


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"{path}: the disk is full. Trials that ended are stored; make room and go on with --resume, "
                "or choose another place with --results"
            ) from error
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); choose another place with --results"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write so that the file is either whole or absent, whatever happens meanwhile.

    Raises:
        UserError: it cannot be written.
    """
    unfinished = path.with_suffix(".tmp")
    with _disk_errors(path):
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _write(path: Path, record: BaseModel) -> None:
    write_text(path, record.model_dump_json(indent=2) + "\n")


def new_run_id(root: Path, scenario_name: str, now: datetime) -> str:
    """Name a run by when it began and what it compares: `20260131-154500-quick`.

    A second run of the same second is `…-quick-2`, and so on.
    """
    name = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{scenario_name}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(free for free in names if not (root / free).exists())


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @classmethod
    def create(cls, root: Path, record: RunRecord) -> RunFolder:
        """Make the folder of a new run.

        Raises:
            UserError: it exists, or cannot be written.
        """
        folder = cls(root / record.run_id)
        with _disk_errors(folder.path):
            folder.path.mkdir(parents=True)
        _write(folder.path / RUN, record)
        return folder

    @classmethod
    def find(cls, root: Path, name: str) -> RunFolder:
        """Return the folder of a run, named by its path, its id, or `last`.

        Raises:
            UserError: there is no such run.
        """
        if name == "last":
            known = runs(root)
            if not known:
                raise UserError(f"{root}: no run is stored here yet; start one with: sidecar-bench run quick")
            return known[-1]
        for path in (Path(name), root / name):
            if (path / RUN).is_file():
                return cls(path)
            if path.is_dir():
                raise UserError(
                    f"{path}: the folder holds no {RUN}: it is no run, or its beginning was never written; "
                    "remove it, and run the scenario anew"
                )
        raise UserError(f"{name}: no such run in {root}; `sidecar-bench list` names those that are stored")

    def record(self) -> RunRecord:
        """Read what the run is.

        Raises:
            UserError: the file is damaged.
        """
        path = self.path / RUN
        try:
            return RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: is damaged and cannot be read; run the scenario anew") from error

    def trial_folder(self, trial_id: str, attempt: int = 1) -> Path:
        """Say where the rows and logs of one attempt at a trial belong."""
        return self.path / "trials" / (trial_id if attempt == 1 else f"{trial_id}-attempt{attempt}")

    def begin_trial(self, trial_id: str, attempt: int = 1) -> Path:
        """Return an empty folder for an attempt at a trial; what an unfinished one left there goes.

        Raises:
            UserError: it cannot be written.
        """
        folder = self.trial_folder(trial_id, attempt)
        with _disk_errors(folder):
            if folder.exists():
                shutil.rmtree(folder)
            (folder / "logs").mkdir(parents=True)
        return folder

    def end_trial(self, record: TrialRecord) -> None:
        """Store a trial that has ended; from now on it counts.

        Raises:
            UserError: it cannot be written.
        """
        _write(self.trial_folder(record.id, record.attempt) / TRIAL, record)

    def go_on(self) -> None:
        """Let the run go on, if it had ended.

        Raises:
            UserError: it cannot be written.
        """
        with _disk_errors(self.path):
            (self.path / END).unlink(missing_ok=True)

    def end(self, end: RunEnd) -> None:
        """Store what has ended the run.

        Raises:
            UserError: it cannot be written.
        """
        _write(self.path / END, end)

    def ended(self) -> dict[tuple[str, int], TrialRecord]:
        """Return the trials that ended, by id and attempt; unfinished ones are not among them.

        Raises:
            UserError: a trial's file is damaged.
        """
        ended = {}
        for path in sorted(self.path.glob(f"trials/*/{TRIAL}")):
            try:
                record = TrialRecord.model_validate_json(path.read_text(encoding="utf-8"))
            except (OSError, ValidationError, UnicodeDecodeError) as error:
                raise UserError(
                    f"{path}: is damaged; remove the folder {path.parent} and go on with --resume"
                ) from error
            ended[record.id, record.attempt] = record
        return ended


def runs(root: Path) -> list[RunFolder]:
    """Return the runs that are stored, the oldest first."""
    return [RunFolder(path.parent) for path in sorted(root.glob(f"*/{RUN}"))]
