"""Finds what interrupted runs have left, and removes it: whatever bears the mark of an owner that is gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from compose.launch import OWNER_MARK, RUN_MARK, lives
from compose.processes import FOLDER_PREFIX


def clean() -> list[str]:
    """Remove what no living run owns, and say what it was."""
    return [*_processes(), *_folders()]


def _processes() -> list[str]:
    removed = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            marks = process.environ()
            if process.pid == os.getpid() or RUN_MARK not in marks or lives(marks.get(OWNER_MARK, "")):
                continue
            name = f"process {process.pid} ({' '.join(process.cmdline())[:60]}) of run {marks[RUN_MARK]}"
            process.kill()
            removed.append(name)
    return removed


def _folders() -> list[str]:
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        owner = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if "." in owner and not lives(owner):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(f"folder {folder}")
    return removed
