"""Starts a child that cannot outlive its parent, on the CPUs that it is given.

Run as a script, without importing anything of the project, so that it costs a few milliseconds:
`python -I -S launch.py --parent PID --cpus 0,1 -- COMMAND …`. The kernel kills the child when its
parent dies, even by SIGKILL; everything of ours carries the mark by which `clean` finds it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

RUN_MARK: Final = "SIDECAR_BENCH_RUN"
OWNER_MARK: Final = "SIDECAR_BENCH_OWNER"
_PR_SET_PDEATHSIG: Final = 1


def command(
    child: Sequence[str], cpus: Sequence[int] = (), doors: Sequence[os.PathLike[str]] = ()
) -> list[str]:
    """Return the command that starts a child of this process, tied to it, on CPUs and in cgroups."""
    placed = ["--cpus", ",".join(str(cpu) for cpu in cpus)] if cpus else []
    for door in doors:
        placed += ["--door", os.fspath(door)]
    launcher = [sys.executable, "-I", "-S", os.path.abspath(__file__)]  # noqa: PTH100 (run without pathlib, for speed)
    return [*launcher, "--parent", str(os.getpid()), *placed, "--", *child]


def environment(run_id: str, **more: str) -> dict[str, str]:
    """Return a child's environment: this one's, the marks of run and owner, and what it needs besides."""
    return {**os.environ, RUN_MARK: run_id, OWNER_MARK: owner(), "PYTHONUNBUFFERED": "1", **more}


def owner() -> str:
    """Return what tells this process from all others, later ones of the same number included."""
    return f"{os.getpid()}.{_birth(os.getpid())}"


def lives(owner: str) -> bool:
    """Tell whether the process that an owner's mark names is still there."""
    pid, _, birth = owner.partition(".")
    return pid.isdigit() and _birth(int(pid)) == birth


def _birth(pid: int) -> str | None:
    """Return when a process was started, in the kernel's own ticks."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 (run without pathlib, for speed)
            # The second field is the program's name in brackets, and may hold anything.
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return None


def main(arguments: Sequence[str]) -> None:
    """Become the child."""
    split = arguments.index("--")
    pairs = list(zip(arguments[:split:2], arguments[1:split:2], strict=True))
    options = dict(pairs)
    child = arguments[split + 1 :]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(options["--parent"]):
        sys.exit(1)  # the parent died before the kernel was told
    if "--cpus" in options:
        os.sched_setaffinity(0, {int(cpu) for cpu in options["--cpus"].split(",")})
    for name, door in pairs:
        if name == "--door":
            with open(door, "w") as procs:  # noqa: PTH123 (run without pathlib, for speed)
                procs.write(str(os.getpid()))
    os.execvp(child[0], list(child))  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
