"""One run at a time measures on a machine, and the second one is told which it is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import sidecar_bench
from servers import eventually

from bench.errors import UserError
from bench.session import measuring

HOLDER = """
import sys
from bench.session import measuring
with measuring.alone("a run") as alone:
    alone.names("process 7 on host: sidecar-bench run quick, in results/there")
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "machine.lock"
    monkeypatch.setenv(measuring.TESTS, str(path))
    return path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which every user may make files, such as /tmp is."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def holder() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def measures() -> bool:
    try:
        with measuring.alone("another"):
            return True
    except UserError:
        return False


@pytest.mark.served
def test_the_second_run_is_told_which_is_the_first_and_may_measure_once_that_is_gone(lock: Path) -> None:
    process = holder()
    with pytest.raises(UserError) as said, measuring.alone("another"):
        pytest.fail("two measure")
    assert "process 7 on host: sidecar-bench run quick, in results/there" in str(said.value)
    process.kill()
    process.wait()
    assert measures()


@pytest.mark.served
def test_a_second_run_by_command_is_refused_makes_no_folder_and_disturbs_nothing(
    lock: Path, tmp_path: Path
) -> None:
    process = holder()
    try:
        ended = sidecar_bench("run", "quick", "--stack", "processes", cwd=tmp_path)
        assert ended.returncode == 2
        assert "another run is measuring on this machine (process 7 on host" in ended.stderr
        assert not (tmp_path / "results").exists()
        cleaned = sidecar_bench("clean", cwd=tmp_path)
        assert "machine.lock" not in cleaned.stdout
        assert not measures(), "it still holds"
    finally:
        process.kill()
        process.wait()


def test_the_lock_is_one_for_all_users_wherever_their_temporary_files_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(measuring.TESTS, raising=False)
    before = measuring.place()
    for name in ("TMPDIR", "HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert measuring.place() == before
    assert before.parent in measuring.PLACES


def test_its_file_lets_every_user_lock_it_whatever_the_umask(lock: Path) -> None:
    before = os.umask(0o077)
    try:
        assert measures()
    finally:
        os.umask(before)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o666
    assert lock.read_text() == ""


@pytest.mark.served
@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to be another user")
def test_another_user_is_refused_too_even_with_a_file_that_only_its_owner_writes(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = open_folder / "machine.lock"
    monkeypatch.setenv(measuring.TESTS, str(lock))
    ask = (
        "import os, sys\nfrom pathlib import Path\nfrom compose.host.locks import HeldError, Lock\n"
        "os.setuid(65534)\n"
        "try:\n    Lock(Path(sys.argv[1]), 'me', shared=True).release()\n    print('free')\n"
        "except HeldError as error:\n    print(f'held: {error}')\n"
    )
    command = [sys.executable, "-c", ask, str(lock)]
    process = holder()
    try:
        held = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert held.stdout.startswith("held: process 7 on host"), held.stderr
    finally:
        process.kill()
        process.wait()
    lock.chmod(0o644)
    assert eventually(measures)
    lock.chmod(0o644)
    free = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert free.stdout == "free\n", free.stderr


@pytest.mark.parametrize("obstacle", ["link", "folder", "pipe"])
def test_what_stands_in_its_place_is_said_and_stops_no_run(lock: Path, tmp_path: Path, obstacle: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    if obstacle == "link":
        lock.symlink_to(victim)
    elif obstacle == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    with measuring.alone("a run") as alone:
        assert f"{lock}: cannot be locked" in alone.remark
    assert victim.read_text() == "precious"
