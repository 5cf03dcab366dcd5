"""Locks: held by one at a time, let go by a death, and gone with their file."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compose.host.locks import HeldError, Lock, is_held

HOLDER = """
import sys
from pathlib import Path
from compose.host.locks import Lock
lock = Lock(Path(sys.argv[1]), "process 7, since noon")
print("held", flush=True)
sys.stdin.read()
"""


def test_who_holds_it_is_said_and_a_death_lets_it_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin
    assert holder.stdout
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        assert is_held(path)
        with pytest.raises(HeldError, match=r"^process 7, since noon$"):
            Lock(path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert is_held(path) is False
    Lock(path).release()


def test_nothing_is_left_of_one_that_was_released(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Lock(path) as lock:
        assert is_held(path)
    lock.release()
    assert not path.exists()
    assert is_held(path) is None


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = Lock(path)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        Lock(path).release()
    finally:
        child.kill()
        child.wait()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        Lock(tmp_path / "lock")
    assert victim.read_text() == "precious"
