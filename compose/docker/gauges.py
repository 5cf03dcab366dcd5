"""What a container has used, read from the kernel's own counters: a few files, where the engine's API takes
a second a container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compose.host.cgroups import ROOT, TREE
from scenarios.facts import UsageFacts

_NS: Final = 1e9
_US: Final = 1e6


@dataclass(frozen=True)
class Gauges:
    """The cgroups of one container, by controller; with cgroup version 2 there is one for all."""

    folders: dict[str, Path]

    @classmethod
    def of(cls, pid: int, root: Path = ROOT, proc: Path = Path("/proc")) -> Gauges:
        """Find the cgroups of a process.

        Raises:
            OSError: there is no such process.
        """
        folders = {}
        for line in (proc / str(pid) / "cgroup").read_text(encoding="ascii").splitlines():
            _number, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                folders[controller] = (root / controllers if controllers else root) / path.lstrip("/")
        if (root / "cgroup.controllers").exists():
            folders = {"": folders[""]}
        return cls(folders)

    def read(self, name: str) -> UsageFacts:
        """Return CPU time, the most memory, and the time that the quota has taken away.

        Raises:
            OSError: the container is gone.
        """
        if "" in self.folders and "cpuacct" not in self.folders:
            folder = self.folders[""]
            cpu = _table(folder / "cpu.stat")
            peak = folder / "memory.peak"  # kernels before 5.19 have none
            memory = peak if peak.exists() else folder / "memory.current"
            return UsageFacts(
                name=name,
                cpu_s=cpu["usage_usec"] / _US,
                memory_bytes=_number(memory),
                throttled_s=_throttled(folder, "throttled_usec") / _US,
            )
        return UsageFacts(
            name=name,
            cpu_s=_number(self.folders["cpuacct"] / "cpuacct.usage") / _NS,
            memory_bytes=_number(self.folders["memory"] / "memory.max_usage_in_bytes"),
            throttled_s=_throttled(self.folders["cpu"], "throttled_time") / _NS,
        )


def _throttled(folder: Path, field: str) -> int:
    """Return what the quota has taken: from the whole task, where the quota stands on the parent."""
    holder = folder.parent if TREE in folder.parts else folder
    return _table(holder / "cpu.stat").get(field, 0)


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _table(path: Path) -> dict[str, int]:
    return {
        key: int(value)
        for key, value in (line.split() for line in path.read_text(encoding="ascii").splitlines())
    }
