"""Starts a child that cannot outlive its parent, on the CPUs that it is given.

Run as a script, without importing anything of the project, so that it costs a few milliseconds:
`python -I -S launch.py --parent PID --cpus 0,1 -- COMMAND …`. The kernel kills the child when its
parent dies, even by SIGKILL. What else a child is given, `compose.host.sealed` says.
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
