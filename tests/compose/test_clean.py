"""Only what has no living owner is removed, and only what is gone is called removed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from compose import clean as cleaning
from compose.clean import clean
from compose.host import ownership

# A run that is killed, with a child that the kernel was not told about, and a folder with a password.
STRAY = """
import subprocess, sys
from compose.host import ownership, sealed
subprocess.Popen(["sleep", "60"], env=sealed.environment(sys.argv[1]), start_new_session=True)
folder = ownership.make_folder()
(folder / "redis-password").write_text("secret")
print(folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stray(run_id: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a run with a child and a folder."""
    run = subprocess.Popen(
        [sys.executable, "-c", STRAY, run_id], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout
    yield run, Path(run.stdout.readline().strip())
    end(run)
    clean()


def end(run: subprocess.Popen[str]) -> None:
    run.send_signal(signal.SIGKILL)
    run.wait()
    for pipe in (run.stdin, run.stdout):
        if pipe:
            pipe.close()


def of(lines: list[str], *words: str) -> list[str]:
    return [line for line in lines if any(word in line for word in words)]


def test_what_a_killed_run_left_is_removed(
    run_id: str, stray: tuple[subprocess.Popen[str], Path], marked: Callable[..., Any]
) -> None:
    run, folder = stray
    [child] = marked(run_id)
    end(run)
    cleaned = clean()
    assert f"folder {folder.parent}" in cleaned.removed
    assert of(cleaned.removed, f"process {child.pid} (sleep 60)")
    assert not folder.parent.exists()
    assert not marked(run_id), "what is called removed is gone"
    again = clean()
    assert not of([*again.removed, *again.stuck, *again.left], run_id, str(folder))


def test_what_a_living_run_owns_is_left_alone(
    run_id: str, stray: tuple[subprocess.Popen[str], Path], marked: Callable[..., Any]
) -> None:
    _, folder = stray
    cleaned = clean()
    assert (folder / "redis-password").exists()
    assert len(marked(run_id)) == 1
    assert not of([*cleaned.removed, *cleaned.stuck, *cleaned.left], run_id, str(folder))


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="only root makes PID namespaces here"
)
def test_a_run_is_alive_from_another_pid_namespace_too(
    run_id: str, stray: tuple[subprocess.Popen[str], Path], marked: Callable[..., Any]
) -> None:
    """No process number of this run means anything there; the lock in its folder is the same."""
    _, folder = stray
    code = "from compose.clean import clean; print(clean())"
    inside = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code]
    ended = subprocess.run(inside, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert run_id not in ended.stdout
    assert (folder / "redis-password").exists()
    assert len(marked(run_id)) == 1


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="only root makes mount namespaces here"
)
def test_a_run_whose_lock_cannot_be_seen_is_left_alone_and_named(
    run_id: str, stray: tuple[subprocess.Popen[str], Path], marked: Callable[..., Any]
) -> None:
    """As from a container that sees the host's processes, and not its temporary files."""
    _, folder = stray
    script = f"mount -t tmpfs none {folder.parent} && exec {sys.executable} -c '{{}}'"
    code = "from compose.clean import clean; print(*clean().left, sep=chr(10))"
    inside = ["unshare", "--mount", "sh", "-c", script.format(code)]
    ended = subprocess.run(inside, capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == 0, ended.stderr
    [line] = of(ended.stdout.splitlines(), run_id)
    assert "its lock is not visible from here" in line
    assert folder.exists()
    assert len(marked(run_id)) == 1


def test_secrets_go_before_anything_that_could_fail(
    stray: tuple[subprocess.Popen[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = stray
    end(run)

    def fails(_: object) -> None:
        assert not (folder / "redis-password").exists()
        raise RuntimeError

    monkeypatch.setattr(cleaning, "_processes", fails)
    with pytest.raises(RuntimeError):
        clean()
    monkeypatch.undo()


def test_what_cannot_be_removed_is_named_with_why_and_not_called_removed(
    stray: tuple[subprocess.Popen[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = stray
    end(run)

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    cleaned = clean()
    monkeypatch.undo()
    assert f"folder {folder.parent}: Permission denied" in cleaned.stuck
    assert not of(cleaned.removed, f"folder {folder.parent}")


def test_a_process_that_stays_is_not_called_removed(
    run_id: str,
    stray: tuple[subprocess.Popen[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    marked: Callable[..., Any],
) -> None:
    run, _ = stray
    end(run)
    monkeypatch.setattr(psutil.Process, "kill", lambda _: None)
    monkeypatch.setattr(cleaning, "_KILLED_S", 0.1)
    cleaned = clean()
    monkeypatch.undo()
    assert of(cleaned.stuck, run_id) == of(cleaned.stuck, "it still exists")
    assert not of(cleaned.removed, run_id)
    for process in marked(run_id):
        process.kill()


def test_folders_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{ownership.PREFIX}notes-") as folder:
        link = Path(tempfile.gettempdir()) / f"{ownership.PREFIX}link-{os.getpid()}"
        (tmp_path / "owner.lock").touch()
        link.symlink_to(tmp_path)
        try:
            clean()
            assert Path(folder).exists()
            assert (tmp_path / "owner.lock").exists(), "a link leads out of our folders"
        finally:
            link.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes folders of another user")
def test_what_another_user_has_put_there_is_left_alone(tmp_path: Path) -> None:
    """Or links in it would have root remove what they lead to."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    folder = Path(tempfile.mkdtemp(prefix=ownership.PREFIX))
    try:
        (folder / "owner.lock").touch()
        (folder / "deployment-1").symlink_to(victim)
        os.chown(folder, 65534, 65534)
        cleaned = clean()
        assert (victim / "precious").exists()
        assert not of([*cleaned.removed, *cleaned.stuck], str(folder))
    finally:
        shutil.rmtree(folder)


def test_links_in_what_is_removed_are_not_followed(
    tmp_path: Path, stray: tuple[subprocess.Popen[str], Path]
) -> None:
    run, folder = stray
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    (folder / "link").symlink_to(victim)
    (folder.parent / "link").symlink_to(victim)
    end(run)
    assert f"folder {folder.parent}" in clean().removed
    assert (victim / "precious").exists()


def test_a_folder_elsewhere_is_found_by_what_bears_its_mark(run_id: str) -> None:
    with tempfile.TemporaryDirectory(prefix="t-") as elsewhere:
        run = subprocess.Popen(
            [sys.executable, "-c", STRAY, run_id], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": elsewhere},
        )  # fmt: skip
        assert run.stdout
        folder = Path(run.stdout.readline().strip())
        end(run)
        assert folder.is_relative_to(elsewhere)
        assert f"folder {folder.parent}" in clean().removed
        assert list(Path(elsewhere).iterdir()) == []


def test_an_owner_is_alive_as_long_as_its_lock_is_held() -> None:
    assert ownership.state(str(ownership.own())) == "alive"
    assert ownership.state("") == ownership.state("/tmp/sidecar-bench-never") == "unseen"
    assert ownership.state("relative") == "unseen"


def test_a_folder_that_is_being_made_is_left_alone() -> None:
    folder = Path(tempfile.mkdtemp(prefix=ownership.PREFIX, suffix=".new"))
    try:
        assert ownership.state(str(folder)) == "alive"
        old_s = folder.stat().st_mtime - 3600
        os.utime(folder, (old_s, old_s))
        assert ownership.state(str(folder)) == "gone"
    finally:
        folder.rmdir()
