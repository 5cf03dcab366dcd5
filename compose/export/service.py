"""What is deployed, whatever it is written for: one variant's sizes, settings and topology."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from compose.stack import StackError
from scenarios.model import Scenario, Variant
from scenarios.sizes import sizes

REDIS_PORT: Final = 6379
APP_PORT: Final = 8000


@dataclass(frozen=True)
class Service:
    """One variant as it is to be deployed.

    CPUs are whole CPUs, memory is in MiB. `redis_maxmemory` is what each Redis may keep, in bytes; its hard
    limit `redis_mib` lies above it.
    """

    name: str
    topology: str
    replicas: int
    ttl_s: float
    app_cpus: float
    app_mib: int
    redis_cpus: float
    redis_mib: int
    redis_maxmemory: int

    @property
    def sidecar(self) -> bool:
        """Whether each replica has a Redis of its own."""
        return self.topology == "sidecar"


def service(scenario: Scenario, topology: str) -> Service:
    """Return what to deploy of a scenario in a topology: its first variant there.

    Raises:
        StackError: the scenario does not compare this topology.
    """
    found = [variant for variant in scenario.variants if variant.topology == topology]
    if not found:
        compared = ", ".join(sorted({variant.topology for variant in scenario.variants}))
        raise StackError(
            f"{scenario.name} compares {compared}, not {topology}; add --set topology={topology}"
        )
    return _service(scenario.name, found[0])


def _service(name: str, variant: Variant) -> Service:
    return Service(
        name=name,
        topology=variant.topology,
        replicas=variant.replicas,
        ttl_s=variant.cache.ttl,
        **dataclasses.asdict(sizes(variant)),
    )
