"""A CloudFormation template that runs one variant on Amazon ECS with Fargate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compose.export.rendering import render
from compose.export.service import Service
from compose.stack import StackError

_UNITS: Final = 1024  # what ECS calls one CPU
_GIB: Final = 1024  # in MiB
# Fargate sells these: the memory, in MiB, that goes with each number of CPU units.
SIZES: Final = {
    256: (512, 1024, 2048),
    512: tuple(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1024: tuple(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2048: tuple(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4096: tuple(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8192: tuple(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: tuple(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}


@dataclass(frozen=True)
class Size:
    """What a Fargate task has: 1,024 units are one CPU; memory is in MiB."""

    units: int
    mib: int


def fargate_size(cpus: float, mib: int) -> Size:
    """Return the smallest task that holds so many CPUs and so much memory.

    Raises:
        StackError: Fargate has none.
    """
    for units, steps in SIZES.items():
        for step in steps:
            if units >= cpus * _UNITS and step >= mib:
                return Size(units, step)
    raise StackError(
        f"a task of {cpus:g} CPUs and {mib:,} MiB is more than Fargate has (16 CPUs, 122,880 MiB); "
        "lower resources.cpus, resources.memory or cache.maxmemory"
    )


def ecs(service: Service) -> dict[str, str]:
    """Return the files of the export by their names: `template.yaml`.

    Raises:
        StackError: the tasks are larger than Fargate has them.
    """
    redis = fargate_size(service.redis_cpus, service.redis_mib)
    app = fargate_size(service.app_cpus, service.app_mib)
    beside_mib = 0
    if service.sidecar:
        app = fargate_size(service.app_cpus + service.redis_cpus, service.app_mib + service.redis_mib)
        beside_mib = service.redis_mib
    text = render(
        "ecs.yaml.j2",
        service,
        app=app,
        app_container_mib=app.mib - beside_mib,
        app_container_units=_units(service.app_cpus),
        redis=redis,
        redis_container_mib=beside_mib or redis.mib,
        redis_container_units=_units(service.redis_cpus),
    )
    return {"template.yaml": text}


def _units(cpus: float) -> int:
    return max(1, int(cpus * _UNITS))
