"""Stored runs, read: what `bench` wrote (see `reports.stored.records`) as records and tables of requests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from reports.errors import ResultsError
from reports.stored import sessions
from reports.stored.files import parse, write_whole
from reports.stored.records import RunEnd, RunRecord, TrialRecord

COLUMNS: Final = ("intended_us", "sent_us", "end_us", "status", "outcome", "replica", "key", "bytes")


@dataclass(frozen=True)
class StoredTrial:
    """One trial that has ended, and where its requests are."""

    record: TrialRecord
    folder: Path

    def rows(self) -> pd.DataFrame:
        """Read the trial's requests, those of the warm-up among them, in order of their intended time.

        Raises:
            ResultsError: the file is missing, damaged or not what `bench` writes.
        """
        path = self.folder / "requests.parquet"
        remedy = f"remove the folder {self.folder} and resume with: sidecar-bench run --resume"
        try:
            table = pq.read_table(path)
        except FileNotFoundError as error:
            if self.record.fault is not None:  # it may have come before any row was stored
                return pd.DataFrame({name: [] for name in COLUMNS})
            raise ResultsError(f"{path}: is missing, though the trial has ended; {remedy}") from error
        except (OSError, pa.ArrowException) as error:
            raise ResultsError(f"{path}: is damaged and cannot be read; {remedy}") from error
        missing = [name for name in COLUMNS if name not in table.column_names]
        if missing:
            raise ResultsError(f"{path}: has no column {', '.join(missing)}; {remedy}")
        rows: pd.DataFrame = table.select(list(COLUMNS)).to_pandas()
        return rows


@dataclass(frozen=True)
class StoredRun:
    """A run as it lies on disk."""

    folder: Path
    record: RunRecord
    trials: tuple[StoredTrial, ...]
    notes: tuple[str, ...]
    end: RunEnd | None

    @property
    def spent(self) -> bool:
        """Whether something other than what it had found ended the run before its plan."""
        return self.end is not None and self.end.why in ("budget", "refused")

    @property
    def refused(self) -> str:
        """Why the run ended early, in a clause, where trial after trial was refused; else empty."""
        return self.end.reason if self.end is not None and self.end.why == "refused" else ""


def read(folder: Path) -> StoredRun:
    """Read a run; trials that never ended are left out, with a note on each.

    Raises:
        ResultsError: it is no run, is damaged, is of a newer format, or holds no trial that ended.
    """
    record = _run_record(folder / "run.json")
    trials, notes = [], []
    for trial in sorted(path for path in folder.glob("trials/*") if path.is_dir()):
        if (trial / "trial.json").is_file():
            trials.append(StoredTrial(_trial_record(trial / "trial.json"), trial))
        else:
            notes.append(f"{trial.name} did not finish and is excluded.")
    if not trials:
        raise ResultsError(
            f"{folder}: no trial of this run has finished yet; "
            f"resume it with: sidecar-bench run --resume {folder.name}"
        )
    trials.sort(key=lambda trial: (trial.record.block, trial.record.started, trial.record.attempt))
    notes.extend(sessions.notes(folder, record))
    return StoredRun(folder, record, tuple(trials), tuple(notes), _run_end(folder / "end.json"))


def _run_record(path: Path) -> RunRecord:
    try:
        return parse(RunRecord, path, "run the scenario again")
    except FileNotFoundError as error:
        raise ResultsError(
            f"{path}: is missing, so {path.parent} is no run; `sidecar-bench list` shows the stored runs"
        ) from error


def _run_end(path: Path) -> RunEnd | None:
    try:
        return parse(
            RunEnd, path, f"remove it, and resume with: sidecar-bench run --resume {path.parent.name}"
        )
    except FileNotFoundError:
        return None


def _trial_record(path: Path) -> TrialRecord:
    return parse(
        TrialRecord, path, f"remove the folder {path.parent} and resume with: sidecar-bench run --resume"
    )


def put(path: Path, text: str) -> None:
    """Write a file so that it is either whole or as it was.

    Raises:
        ResultsError: it cannot be written.
    """
    try:
        write_whole(path, text)
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot be written ({error.strerror}); free some space or fix its permissions, then "
            "run: "
            f"sidecar-bench report {path.parent.name}"
        ) from error
