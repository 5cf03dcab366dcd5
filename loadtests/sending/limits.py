"""What this process may have open: raised as far as it may. Each request under way takes a connection."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class OpenFiles:
    """How many descriptors a process may have: at first, now, and at most without more rights."""

    found: int
    now: int
    most: int

    @property
    def said(self) -> str:
        """Say what was found, and whether it could be raised."""
        return f"{self.now:,}" if self.now == self.found else f"{self.now:,} (raised from {self.found:,})"


def raise_open_files() -> OpenFiles:
    """Raise the limit as far as this process may; its children inherit it."""
    found, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    now = found
    if found != most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            now = most
        except (OSError, ValueError):  # such as where the limit is above the kernel's own
            pass
    return OpenFiles(found, now, most)


def ports() -> int | None:
    """Return how many connections to one address this machine can have at once; None if it does not tell."""
    try:
        low, high = _PORTS.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return int(high) - int(low) + 1
