"""The sizes in which Fargate sells tasks: what is exported and what is priced agree on them."""

from __future__ import annotations

from typing import Final

from scenarios.reading.document import ScenarioError

_GIB: Final = 1024  # in MiB
# The memory, in MiB, that goes with each number of CPUs.
SIZES: Final[dict[float, tuple[int, ...]]] = {
    0.25: (512, 1024, 2048),
    0.5: tuple(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1.0: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2.0: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4.0: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8.0: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16.0: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}


def fargate_size(cpus: float, mib: int) -> tuple[float, int]:
    """Return CPUs and memory (MiB) of the smallest task that holds both.

    Raises:
        ScenarioError: Fargate has none.
    """
    for size_cpus, steps in SIZES.items():
        for step in steps:
            if size_cpus >= cpus and step >= mib:
                return size_cpus, step
    raise ScenarioError(
        f"a task of {cpus:g} CPUs and {mib:,} MiB exceeds Fargate's maximum (16 CPUs, 122,880 MiB); "
        "lower resources.cpus, resources.memory or cache.maxmemory"
    )
