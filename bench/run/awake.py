"""Keeps idle cores awake while something is measured.

A core that idles is put to sleep, and waking it takes from a few microseconds (bare metal) to whole
milliseconds (a virtual machine, whose hypervisor has to give the core back: time that it counts as
stolen). The kernel's PM QoS interface lets a program ask for no such latency for as long as it holds
a file open; the kernel takes the request back when the program ends, however it ends.
Source: https://docs.kernel.org/power/pm_qos_interface.html
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_DOOR: Final = Path("/dev/cpu_dma_latency")
_LATENCY_US: Final = 0


def possible(door: Path = _DOOR) -> bool:
    """Tell whether the kernel would keep cores awake for this user; mostly only root may ask."""
    with cores(door) as kept:
        return kept


@contextlib.contextmanager
def cores(door: Path = _DOOR) -> Iterator[bool]:
    """Keep all cores awake within the context; yields whether they are."""
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(door.open("r+b", buffering=0))
            held.write(struct.pack("=i", _LATENCY_US))
        except OSError:
            yield False
            return
        yield True
