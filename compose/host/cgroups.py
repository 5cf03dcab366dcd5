"""A task's budget: one parent cgroup that all its containers share, as ECS caps a task as a whole.

Docker puts containers below any parent that `cgroup_parent` names, in version 1 and 2 of cgroups alike; the
quota stands on the parent. Where that is not allowed (no root, or systemd keeps the tree), each container
gets the limit for itself, and the report says so.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from compose.host import ownership
from scenarios.model import Resources

ROOT: Final = Path("/sys/fs/cgroup")
TREE: Final = "sidecar-bench"
_PERIOD_US: Final = 100_000


class Budgets:
    """The parent cgroups of one run's tasks."""

    def __init__(self, run_id: str, driver: str) -> None:
        # The owner's mark is a part of the path: `clean` must not take a run's budgets from under it.
        self._folder = Path(TREE) / ownership.own().name / run_id
        self._unified = (ROOT / "cgroup.controllers").exists()
        self.allowed = driver == "cgroupfs" and os.access(self._tops()[0], os.W_OK)

    def task(self, name: str, resources: Resources) -> tuple[Mapping[str, Any], str | None]:
        """Make a task's parent cgroup; return the settings of its containers, and a note where it had to be
        done otherwise.
        """
        if resources.cpus is None and resources.memory is None:
            return {}, None
        if not self.allowed:
            limits = {"cpus": resources.cpus, "mem_limit": resources.memory}
            return {key: value for key, value in limits.items() if value is not None}, (
                "parent cgroups are not allowed here: each container has the limits of its task separately"
            )
        for top in self._tops():
            self._make(top, name, resources)
        return {"cgroup_parent": f"/{self._folder}/{name}"}, None

    def doors(self, name: str) -> list[Path]:
        """Return the files by which a process enters a task's cgroup: it writes its number into each."""
        doors = []
        for top in self._tops():
            # In version 2, a cgroup that hands its controllers down may hold no process itself.
            inside = top / self._folder / name / "processes"
            inside.mkdir(exist_ok=True)
            doors.append(inside / "cgroup.procs")
        return doors

    def remove(self) -> None:
        """Remove the run's cgroups; those that still hold a process stay."""
        for path in left_behind():
            if path.parts[-3:] == self._folder.parts:
                remove_tree(path)

    def _tops(self) -> list[Path]:
        return [ROOT] if self._unified else [ROOT / "cpu", ROOT / "memory"]

    def _make(self, top: Path, name: str, resources: Resources) -> None:
        path = top / self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        if self._unified:
            for parent in (
                top,
                *(top / above for above in reversed(self._folder.parents[:-1])),
                path.parent,
                path,
            ):
                (parent / "cgroup.subtree_control").write_text("+cpu +memory")
        if resources.cpus is not None and (self._unified or top.name == "cpu"):
            quota = int(resources.cpus * _PERIOD_US)
            if self._unified:
                (path / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
            else:
                (path / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (path / "cpu.cfs_quota_us").write_text(str(quota))
        if resources.memory is not None and (self._unified or top.name == "memory"):
            limit = "memory.max" if self._unified else "memory.limit_in_bytes"
            if not self._unified:
                with contextlib.suppress(OSError):  # kernels that know no other way refuse
                    (path / "memory.use_hierarchy").write_text("1")
            (path / limit).write_text(str(resources.memory))


def remove_tree(path: Path) -> bool:
    """Remove a run's cgroup, those below it, and empty ones above it; tell whether it is gone."""
    _remove_below(path)
    for above in (path.parent, path.parent.parent):
        with contextlib.suppress(OSError):
            above.rmdir()
    return not path.exists()


def owner_of(path: Path) -> str:
    """Return the name of the folder of the process whose run made a cgroup."""
    return path.parent.name


def _remove_below(path: Path) -> None:
    for child in path.iterdir() if path.is_dir() else ():
        if child.is_dir():
            _remove_below(child)
    with contextlib.suppress(OSError):
        path.rmdir()


def left_behind() -> list[Path]:
    """Return the cgroups of runs that are there, in any hierarchy: Docker makes a task's parent in all."""
    tops = (
        [ROOT]
        if (ROOT / "cgroup.controllers").exists()
        else [path for path in ROOT.glob("*") if path.is_dir()]
    )
    return [run for top in tops for run in (top / TREE).glob("*/*") if run.is_dir()]
