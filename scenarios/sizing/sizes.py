"""How large the containers of a variant are where it is deployed: exports and prices agree on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scenarios.model import Variant

MIB: Final = 1 << 20
# Where a scenario sets no limit, a task has one CPU. App and Redis are single-threaded, so that neither alone
# can be throttled by it. By a quarter of a CPU they would be: after 25 ms of work a process waits 75 ms.
_TASK_CPUS: Final = 1.0
_APP_MIB: Final = 256
# What a sidecar has beside an app, and a Redis of its own beside limited apps.
_REDIS_CPUS: Final = 0.25
_REDIS_MIB: Final = 64
_OVERHEAD: Final = 1.25  # Redis's hard limit over its maxmemory: buffers and fragmentation need room


@dataclass(frozen=True)
class Sizes:
    """CPUs are whole CPUs, memory is in MiB; `redis_maxmemory` is what each Redis may keep, in bytes.

    `cpus_limited`, `memory_limited`: the scenario itself sets the task's CPUs, or the app's memory.
    """

    app_cpus: float
    app_mib: int
    redis_cpus: float
    redis_mib: int
    redis_maxmemory: int
    cpus_limited: bool
    memory_limited: bool


def sizes(variant: Variant) -> Sizes:
    """Return the sizes of a variant's app and Redis, each by itself."""
    limits = variant.resources
    sidecar = variant.layout.in_task
    maxmemory = variant.cache.maxmemory // max(variant.layout.redis_count(variant.replicas), 1)
    unlimited_app = _TASK_CPUS - _REDIS_CPUS if sidecar else _TASK_CPUS
    beside = sidecar or limits.cpus is not None
    return Sizes(
        app_cpus=limits.cpus or unlimited_app,
        app_mib=limits.memory // MIB if limits.memory else _APP_MIB,
        redis_cpus=_REDIS_CPUS if beside else _TASK_CPUS,
        redis_mib=max(_REDIS_MIB, -(-int(maxmemory * _OVERHEAD) // MIB)),
        redis_maxmemory=maxmemory,
        cpus_limited=limits.cpus is not None,
        memory_limited=limits.memory is not None,
    )
