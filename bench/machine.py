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
from compose.gauges import Gauges
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
    waiting_s: float | None = None
    throttled_s: float | None = None

    @classmethod
    def now(cls) -> Moment:
        """Read the counters."""
        times = psutil.cpu_times()
        stolen = getattr(times, "steal", 0.0)
        # guest time is counted in user time as well, on Linux
        everything = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        idle = times.idle + getattr(times, "iowait", 0.0)
        return cls(
            time.monotonic(),
            time.time(),
            everything - idle - stolen,
            stolen,
            everything,
            pressure_s(),
            _throttled_s(),
        )

    def until(self, later: Moment) -> MachineFacts:
        """Return what happened between this moment and a later one."""
        span = max(later.all_s - self.all_s, 1e-9)
        span_s = max(later.monotonic_s - self.monotonic_s, 1e-9)
        return MachineFacts(
            stolen_ratio=max(later.stolen_s - self.stolen_s, 0.0) / span,
            busy_ratio=max(later.busy_s - self.busy_s, 0.0) / span,
            load_average=os.getloadavg()[0],
            clock_step_s=(later.wall_s - self.wall_s) - (later.monotonic_s - self.monotonic_s),
            waiting_ratio=_share(self.waiting_s, later.waiting_s, span_s),
            throttled_ratio=_share(self.throttled_s, later.throttled_s, span_s),
        )


def pressure_s(told: Path = Path("/proc/pressure/cpu")) -> float | None:
    """Return for how long, since it started, something that could run has waited for a CPU.

    None where the kernel does not tell. (Pressure stall information, Documentation/accounting/psi.rst)
    """
    for line in _lines(told):
        if line.startswith("some "):
            return int(line.rpartition("total=")[2]) / 1e6
    return None


def _throttled_s() -> float | None:
    """Return for how long the limit of this process's own cgroup, if any, has held it back."""
    try:
        return Gauges.of(os.getpid()).read("bench").throttled_s
    except (OSError, KeyError):
        return None


def _share(before_s: float | None, after_s: float | None, span_s: float) -> float | None:
    return None if before_s is None or after_s is None else max(after_s - before_s, 0.0) / span_s


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


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:  # a kernel without it may have the file and not let it be read
        return []


def _first_line(path: Path) -> str:
    return next(iter(_lines(path)), "unknown")


def _cpu_model() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"
