"""Runs on disk: made once, added to trial by trial, never rewritten; see `reports.stored.records`."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import platform
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from bench.errors import UserError
from compose.host.locks import HeldError, Lock
from reports.stored.files import parse, write_whole
from reports.stored.records import Resume, RunEnd, RunRecord, TrialRecord
from reports.stored.sessions import differences

DEFAULT_ROOT: Final = Path("results")
RUN: Final = "run.json"
TRIAL: Final = "trial.json"
END: Final = "end.json"
RESUME: Final = "resume"
LOCK: Final = "run.lock"


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Say what keeps a file of a run from being written.

    Raises:
        UserError: the disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"{path}: the disk is full. Completed trials are stored; free some space and resume with "
                "--resume, or choose another place with --results"
            ) from error
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); choose another place with --results"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write so that the file is either whole or absent, whatever happens meanwhile.

    Raises:
        UserError: it cannot be written.
    """
    with disk_errors(path):
        write_whole(path, text)


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
        with disk_errors(folder.path):
            folder.path.mkdir(parents=True)
        _write(folder.path / RUN, record)
        return folder

    @classmethod
    @contextlib.contextmanager
    def begun(cls, root: Path, record: RunRecord) -> Iterator[RunFolder]:
        """Make the folder of a new run and hold it: whoever sees that it is a run sees that it is held.

        Raises:
            UserError: it exists, or cannot be written.
        """
        folder = cls(root / record.run_id)
        with disk_errors(folder.path):
            folder.path.mkdir(parents=True)
        with folder.held(record.command):
            _write(folder.path / RUN, record)
            yield folder

    @classmethod
    def find(cls, root: Path, name: str) -> RunFolder:
        """Return the folder of a run, named by its path, its id, or `last`.

        Raises:
            UserError: there is no such run.
        """
        if name == "last":
            known = runs(root)
            if not known:
                raise UserError(f"{root}: has no runs yet; start one with: sidecar-bench run quick")
            return known[-1]
        for path in (Path(name), root / name):
            if (path / RUN).is_file():
                return cls(path)
            if path.is_dir():
                raise UserError(
                    f"{path}: the folder holds no {RUN}: it is no run, or its beginning was never written; "
                    "remove it, and run the scenario again"
                )
        raise UserError(f"{name}: no such run in {root}; `sidecar-bench list` shows the stored runs")

    def record(self) -> RunRecord:
        """Read what the run is.

        Raises:
            ResultsError: the file is damaged, or of a newer version.
        """
        return parse(RunRecord, self.path / RUN, "run the scenario again")

    @contextlib.contextmanager
    def held(self, command: Sequence[str]) -> Iterator[None]:
        """Hold the run, so that nobody else resumes it at the same time.

        Raises:
            UserError: somebody else holds it, or it is no folder of ours: a link leads out of it.
        """
        links = [path for path in self.path.iterdir() if path.is_symlink()]
        if links:
            raise UserError(f"{links[0]}: is a link; stored runs must not contain links. Remove it")
        try:
            with disk_errors(self.path):
                lock = Lock(self.path / LOCK, holder_of(command))
        except HeldError as error:
            raise UserError(
                f"{self.path}: this run is in progress ({error}); wait until it ends, or stop that process"
            ) from error
        with lock:
            yield

    def trial_folder(self, trial_id: str, attempt: int = 1) -> Path:
        """Say where the rows and logs of one attempt at a trial belong.

        Raises:
            UserError: that would not be in this run.
        """
        if Path(trial_id).name != trial_id or trial_id in ("", ".", ".."):
            raise UserError(f"{self.path}: {trial_id!r} names no trial of a run; the run was tampered with")
        return self.path / "trials" / (trial_id if attempt == 1 else f"{trial_id}-attempt{attempt}")

    def begin_trial(self, trial_id: str, attempt: int = 1) -> Path:
        """Return an empty folder for an attempt at a trial; what an unfinished one left there goes.

        Raises:
            UserError: it cannot be written.
        """
        folder = self.trial_folder(trial_id, attempt)
        if folder.is_symlink() or folder.parent.is_symlink():
            raise UserError(f"{folder}: is a link; stored runs must not contain links. Remove it")
        with disk_errors(folder):
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
        with disk_errors(self.path):
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
            ResultsError: a trial's file is damaged, or of a newer version.
            UserError: a trial's file is not of the folder that it is in.
        """
        ended = {}
        for path in sorted(self.path.glob(f"trials/*/{TRIAL}")):
            remedy = f"remove the folder {path.parent} and continue with --resume"
            record = parse(TrialRecord, path, remedy)
            if self.trial_folder(record.id, record.attempt) != path.parent:
                raise UserError(f"{path}: is of another trial than its folder; {remedy}")
            ended[record.id, record.attempt] = record
        return ended

    def resumed(self, command: Sequence[str], environment: Mapping[str, Any]) -> list[str]:
        """Store that the run goes on, and where; return what is not as it was at first, in sentences.

        Raises:
            ResultsError: the run cannot be read.
            UserError: it cannot be written.
        """
        resume = Resume(
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            command=list(command),
            environment=dict(environment),
        )
        numbers = (self.path / f"{RESUME}-{number}.json" for number in itertools.count(1))
        _write(next(path for path in numbers if not path.exists()), resume)
        return differences(self.record().environment, environment)


def holder_of(command: Sequence[str]) -> str:
    """Say of this process, and of its command, that it holds something."""
    since = f"since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"process {os.getpid()} on {platform.node()}, {since}: {shlex.join(command)}"


def runs(root: Path) -> list[RunFolder]:
    """Return the runs that are stored, the oldest first."""
    return [RunFolder(path.parent) for path in sorted(root.glob(f"*/{RUN}"))]
