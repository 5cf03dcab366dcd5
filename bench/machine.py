"""What the machine is, and what else happened on it while a trial ran."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench import awake
from reports.records import MachineFacts

_VERSIONS_OF: Final = (
    "sidecar-bench",
    "locust",
    "gevent",
    "fastapi",
    "starlette",
    "uvicorn",
    "redis",
    "hiredis",
)


@dataclass(frozen=True)
class Moment:
    """The counters of the machine at one moment; two of them make the facts of the time between."""

    monotonic_s: float
    wall_s: float
    busy_s: float
    stolen_s: float
    all_s: float

    @classmethod
    def now(cls) -> Moment:
        """Read the counters."""
        times = psutil.cpu_times()
        stolen = getattr(times, "steal", 0.0)
        # guest time is counted in user time as well, on Linux
        everything = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        idle = times.idle + getattr(times, "iowait", 0.0)
        return cls(time.monotonic(), time.time(), everything - idle - stolen, stolen, everything)

    def until(self, later: Moment) -> MachineFacts:
        """Return what happened between this moment and a later one."""
        span = max(later.all_s - self.all_s, 1e-9)
        return MachineFacts(
            stolen_ratio=max(later.stolen_s - self.stolen_s, 0.0) / span,
            busy_ratio=max(later.busy_s - self.busy_s, 0.0) / span,
            load_average=os.getloadavg()[0],
            clock_step_s=(later.wall_s - self.wall_s) - (later.monotonic_s - self.monotonic_s),
        )


def environment() -> dict[str, Any]:
    """Describe the machine and the versions that measure, for the report's readers."""
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count() or 1,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "distribution": _distribution(),
        "clock": clock_source(),
        "cores_awake": awake.possible(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _VERSIONS_OF},
    }


def clock_source() -> str:
    """Return the kernel's clock source, such as `tsc`."""
    return _first_line(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource"))


def kernel_release() -> str:
    """Return the kernel's release, as its modules' folder is named."""
    return platform.release()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"
