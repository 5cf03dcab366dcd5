"""What the machine is, and what else happened on it while a trial ran."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.run import awake
from compose.docker.gauges import Gauges
from compose.host.cgroups import ROOT
from scenarios.facts import MachineFacts

# What each version of cgroups calls the time that a limit has taken, and its unit in seconds.
_THROTTLED: Final = {"throttled_usec": 1e-6, "throttled_time": 1e-9}
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
            throttled_s(),
        )

    def until(self, later: Moment) -> MachineFacts:
        """Return what happened between this moment and a later one."""
        span = max(later.all_s - self.all_s, 1e-9)
        span_s = max(later.monotonic_s - self.monotonic_s, 1e-9)
        return MachineFacts(
            stolen_ratio=max(later.stolen_s - self.stolen_s, 0.0) / span,
            busy_ratio=max(later.busy_s - self.busy_s, 0.0) / span,
            load_average=os.getloadavg()[0],
            clock_step_s=later.clock_s - self.clock_s,
            waiting_ratio=_share(self.waiting_s, later.waiting_s, span_s),
            throttled_ratio=_share(self.throttled_s, later.throttled_s, span_s),
        )

    @property
    def clock_s(self) -> float:
        """How far the wall clock is ahead of the monotonic one: the same for as long as nobody sets it."""
        return self.wall_s - self.monotonic_s


class Watch:
    """The machine while a load is sent, looked at as often as the generator reports."""

    def __init__(self, warmup_s: float, now: Callable[[], Moment] = Moment.now) -> None:
        self._warmup_s = warmup_s
        self._now = now
        self._began = self._measured = self._last = now()
        self._step_s = 0.0

    def see(self, event: Mapping[str, Any]) -> None:
        """Look at the machine, for the generator has reported; but not while it stores its rows."""
        if event["event"] == "finished":
            return
        self._last = self._now()
        if event["event"] == "started" or event.get("t_s", 0.0) <= self._warmup_s:
            self._measured = self._last
        step_s = self._last.clock_s - self._began.clock_s
        self._step_s = max(self._step_s, step_s, key=abs)

    def facts(self) -> MachineFacts:
        """Return what happened in the measured time; of clock steps, the largest since the beginning."""
        now = self._now()
        last = now if self._last is self._measured else self._last
        step_s = max(self._step_s, now.clock_s - self._began.clock_s, key=abs)
        return self._measured.until(last).model_copy(update={"clock_step_s": step_s})


def pressure_s(told: Path = Path("/proc/pressure/cpu")) -> float | None:
    """Return for how long, since it started, something that could run has waited for a CPU.

    None if the kernel does not report it. (Pressure stall information, Documentation/accounting/psi.rst)
    """
    for line in _lines(told):
        if line.startswith("some "):
            return int(line.rpartition("total=")[2]) / 1e6
    return None


def throttled_s(root: Path = ROOT, proc: Path = Path("/proc")) -> float | None:
    """Return for how long limits have held this process back: its cgroup's, and those of cgroups above it.

    None if the kernel does not report it.
    """
    try:
        folders = Gauges.of(os.getpid(), root, proc).folders
    except OSError:
        return None
    folder = folders.get("cpu", folders.get(""))
    if folder is None:
        return None
    above = [each for each in (folder, *folder.parents) if each.is_relative_to(root)]
    found = [held_s for each in above for held_s in _held(each)]
    return sum(found) if found else None


def _held(cgroup: Path) -> Iterator[float]:
    """Yield the seconds for which a cgroup's own limit has stopped it."""
    for line in _lines(cgroup / "cpu.stat"):
        name, _, value = line.partition(" ")
        if name in _THROTTLED:
            yield int(value) * _THROTTLED[name]


def _share(before_s: float | None, after_s: float | None, span_s: float) -> float | None:
    return None if before_s is None or after_s is None else max(after_s - before_s, 0.0) / span_s


def is_another(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether two environments are of two machines; where it was not stored, they are."""
    return "machine" not in before or before["machine"] != now["machine"]


def environment() -> dict[str, Any]:
    """Describe the machine and the versions that measure, for the report's readers."""
    return {
        "cpu": _cpu_model(),
        "machine": _identity(),
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


def _identity() -> str:
    """Return what tells this machine from others, and tells others nothing of it."""
    known = "".join(_lines(Path("/etc/machine-id"))) or platform.node()
    return hashlib.blake2b(known.encode(), digest_size=4, person=b"sidecar-bench").hexdigest()


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
