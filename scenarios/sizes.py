"""How large the containers of a variant are where it is deployed: exports and prices agree on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scenarios.model import Variant

MIB: Final = 1 << 20
# Where a scenario sets no limits: enough for one worker, and for Redis beside it.
_APP_CPUS: Final = 0.25
_APP_MIB: Final = 256
_REDIS_CPUS: Final = 0.25
_REDIS_MIB: Final = 64
_OVERHEAD: Final = 1.25  # Redis's hard limit over its maxmemory: buffers and fragmentation need room


@dataclass(frozen=True)
class Sizes:
    """CPUs are whole CPUs, memory is in MiB; `redis_maxmemory` is what each Redis may keep, in bytes."""

    app_cpus: float
    app_mib: int
    redis_cpus: float
    redis_mib: int
    redis_maxmemory: int


def sizes(variant: Variant) -> Sizes:
    """Return the sizes of a variant's app and Redis, each by itself."""
    limits = variant.resources
    maxmemory = variant.cache.maxmemory // (variant.replicas if variant.topology == "sidecar" else 1)
    return Sizes(
        app_cpus=limits.cpus or _APP_CPUS,
        app_mib=limits.memory // MIB if limits.memory else _APP_MIB,
        redis_cpus=_REDIS_CPUS,
        redis_mib=max(_REDIS_MIB, -(-int(maxmemory * _OVERHEAD) // MIB)),
        redis_maxmemory=maxmemory,
    )
