"""Only what has no living owner is removed."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compose import launch
from compose.clean import clean
from compose.processes import FOLDER_PREFIX

# A run that is killed, with a child that the kernel was not told about.
STRAY = """
import os, subprocess, sys, tempfile
from compose import launch
from compose.processes import FOLDER_PREFIX
subprocess.Popen(["sleep", "60"], env=launch.environment(sys.argv[1]), start_new_session=True)
print(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{launch.owner()}-"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stray(run_id: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a run with a child and a folder."""
    run = subprocess.Popen(
        [sys.executable, "-c", STRAY, run_id], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout
    return run, Path(run.stdout.readline().strip())


def end(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGKILL)
    run.wait()
    for pipe in (run.stdin, run.stdout):
        if pipe:
            pipe.close()


def test_what_a_killed_run_left_is_removed(
    run_id: str,
    stray: tuple[subprocess.Popen[str], Path],
    marked: Callable[..., Any],
    wait_until: Callable[..., None],
) -> None:
    run, folder = stray
    [child] = marked(run_id)
    end(run)
    removed = clean()
    assert f"folder {folder}" in removed
    assert [line for line in removed if line.startswith(f"process {child.pid} (sleep 60)")]
    assert not folder.exists()
    wait_until(lambda: not marked(run_id))
    assert not [line for line in clean() if run_id in line or str(folder) in line]


def test_what_a_living_run_owns_is_left_alone(
    run_id: str, stray: tuple[subprocess.Popen[str], Path], marked: Callable[..., Any]
) -> None:
    run, folder = stray
    try:
        removed = clean()
        assert folder.exists()
        assert len(marked(run_id)) == 1
        assert not [line for line in removed if run_id in line or str(folder) in line]
    finally:
        end(run)
        clean()


def test_folders_that_are_not_ours_are_left_alone() -> None:
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}notes-") as folder:
        clean()
        assert Path(folder).exists()
    assert launch.lives(launch.owner())
