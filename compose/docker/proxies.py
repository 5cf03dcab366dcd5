"""The engine's proxies of published ports: processes of its own, through which all load goes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import psutil


def place_proxies(ports: Sequence[int], cpus: Sequence[int]) -> None:
    """Keep the proxies of these ports on these CPUs, off the load generator's core; none: leave them.

    With a rootless or a distant engine they are not ours to place, and stay where they are.
    """
    wanted = {str(port) for port in ports}
    for process in psutil.process_iter(["name", "cmdline"]) if cpus else ():
        if process.info["name"] != "docker-proxy" or not wanted.intersection(process.info["cmdline"] or ()):
            continue
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cpus)
