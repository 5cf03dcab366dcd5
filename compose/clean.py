"""Finds what interrupted runs have left, and removes it: processes by their mark, folders by their owner."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from compose.launch import RUN_MARK
from compose.processes import FOLDER_PREFIX


def clean() -> list[str]:
    """Remove what no living run owns, and say what it was."""
    return [*_orphans(), *_folders()]


def _orphans() -> list[str]:
    """End marked processes whose run is gone: they were handed to init, or to another reaper."""
    removed = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid == os.getpid() or RUN_MARK not in process.environ():
                continue
            parent = process.parent()
            if parent is not None and (RUN_MARK in parent.environ() or _is_bench(parent)):
                continue
            name = f"process {process.pid} ({' '.join(process.cmdline())[:60]})"
            process.kill()
            removed.append(name)
    return removed


def _is_bench(process: psutil.Process) -> bool:
    return any("sidecar-bench" in part for part in process.cmdline())


def _folders() -> list[str]:
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        owner = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(f"folder {folder}")
    return removed
