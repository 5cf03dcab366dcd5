"""What is deployed, whatever it is written for: one variant's sizes, settings and topology."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from compose.app_environment import app_settings
from compose.stack import StackError
from scenarios import topologies
from scenarios.model import Scenario, Variant
from scenarios.sizing.sizes import Sizes, sizes

REDIS_PORT: Final = 6379


@dataclass(frozen=True)
class Service(Sizes):
    """One variant as it is to be deployed.

    CPUs are whole CPUs, memory is in MiB. `redis_maxmemory` is what each Redis may keep, in bytes; its hard
    limit `redis_mib` lies above it. `settings` are the app's variables, the same as in trials. `source` is
    what the export was made of, as the command line names it. `public`: clients are
    anywhere. `token`: the upstream wants one.
    """

    name: str
    source: str
    topology: str
    replicas: int
    settings: Mapping[str, str]
    notes: tuple[str, ...]
    public: bool = False
    token: bool = True

    @property
    def sidecar(self) -> bool:
        """Whether each replica has a Redis of its own."""
        return topologies.of(self.topology).in_task

    @property
    def ttl_s(self) -> float:
        """How long a response is fresh."""
        return float(self.settings["CACHE_TTL"])

    @property
    def sized(self) -> str:
        """Say where the sizes are from."""
        if self.cpus_limited and self.memory_limited:
            return f"sized as in the scenario {self.name}"
        if self.cpus_limited:
            return f"with CPUs as in the scenario {self.name}, which sets no memory"
        if self.memory_limited:
            return f"with memory as in the scenario {self.name}, which sets no CPUs"
        return f"with default sizes, because the scenario {self.name} sets none"


def service(
    scenario: Scenario,
    topology: str,
    *,
    variant_id: str | None = None,
    source: str = "",
    public: bool = False,
    token: bool = True,
) -> Service:
    """Return what to deploy of a scenario in a topology: its first variant there, or the one of this id.

    Raises:
        StackError: the scenario does not compare this topology, or has no such variant in it.
    """
    found = [variant for variant in scenario.variants if variant.topology == topology]
    if not found:
        compared = ", ".join(sorted({variant.topology for variant in scenario.variants}))
        raise StackError(
            f"{scenario.name} compares {compared}, not {topology}; add --set topology={topology}"
        )
    chosen = [variant for variant in found if variant_id in (None, variant.id)]
    if not chosen:
        raise StackError(
            f"--variant {variant_id}: {scenario.name} has no such variant in {topology}; it has "
            + ", ".join(variant.id for variant in found)
        )
    variant = chosen[0]
    return Service(
        name=scenario.name,
        source=re.sub(r"[^\w./ -]", "_", source or scenario.name),
        topology=variant.topology,
        replicas=variant.replicas,
        settings=app_settings(variant),
        notes=tuple(_notes(variant)),
        public=public,
        token=token,
        **dataclasses.asdict(sizes(variant)),
    )


def _notes(variant: Variant) -> list[str]:
    """Say what of a variant the files do not have."""
    if variant.layout.in_task and variant.cache.sidecar_transport == "unix":
        return [
            "cache.sidecar_transport: the trials' sidecars answered on a Unix socket; the files use TCP on "
            "loopback, which takes about 0.01 ms longer. Compare the two with "
            "--set cache.sidecar_transport=[loopback, unix]."
        ]
    return []
