"""Idle cores are kept awake by a request that the kernel holds for as long as a file is open."""

from __future__ import annotations

from pathlib import Path

from bench.run import awake


def held(door: Path) -> bool:
    """Tell whether this process has the file open."""
    opened = (fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.exists())
    return door.resolve() in list(opened)


def test_the_request_is_made_and_taken_back(tmp_path: Path) -> None:
    door = tmp_path / "cpu_dma_latency"
    door.touch()
    with awake.cores(door) as kept:
        assert kept
        assert held(door)
        assert door.read_bytes() == bytes(4)  # no latency at all, in microseconds
    assert not held(door)


def test_a_machine_without_the_interface_is_measured_as_it_is(tmp_path: Path) -> None:
    with awake.cores(tmp_path / "missing" / "door") as kept:
        assert not kept
    assert not (tmp_path / "missing").exists()
    assert not list(tmp_path.iterdir())
