"""A CloudFormation template that runs one variant on Amazon ECS with Fargate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compose.export.rendering import render
from compose.export.service import Service
from scenarios.sizing.fargate import fargate_size

_UNITS: Final = 1024  # what ECS calls one CPU


@dataclass(frozen=True)
class Size:
    """What a Fargate task has: 1,024 units are one CPU; memory is in MiB."""

    units: int
    mib: int


def task_size(cpus: float, mib: int) -> Size:
    """Return the smallest task that holds so many CPUs and so much memory.

    Raises:
        ScenarioError: Fargate has none.
    """
    size_cpus, size_mib = fargate_size(cpus, mib)
    return Size(_units(size_cpus), size_mib)


def ecs(service: Service) -> dict[str, str]:
    """Return the files of the export by their names: `template.yaml`.

    Raises:
        ScenarioError: the tasks are larger than Fargate has them.
    """
    redis = task_size(service.redis_cpus, service.redis_mib)
    app = task_size(service.app_cpus, service.app_mib)
    beside_mib = 0
    if service.sidecar:
        app = task_size(service.app_cpus + service.redis_cpus, service.app_mib + service.redis_mib)
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
