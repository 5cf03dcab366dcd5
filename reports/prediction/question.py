"""What is asked of a prediction: combinations, and what they are computed from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from reports.prediction.model import Assumption, Quota, Span
from scenarios.model import Variant
from simulation.prediction.counting import Topology
from simulation.prediction.latency import Link, Times
from simulation.prediction.outcomes import Source
from simulation.prediction.routing import Routing


@dataclass(frozen=True)
class Kind:
    """A topology, and for how long the app keeps responses in front of Redis (0: not at all)."""

    topology: Topology
    l1_s: float = 0.0

    @property
    def name(self) -> str:
        """Return what ids call it."""
        return f"{self.topology}+l1" if self.l1_s else self.topology


@dataclass(frozen=True)
class Question:
    """All that a prediction is computed from.

    `source` tells outcomes, `grid_source` those of the grid, where fewer seeds do. `rate` is the mean number
    of requests per second, `peak_rate` that of the busiest hour. `base` has what prices depend on. `times`
    are by topology. `memories` are sizes, of all caches together, to compute a curve over.
    `refined`: TTLs vary, or expired copies or caches in front are of use.
    `costly`: outcomes take seconds each, so that crossings are looked for in steps less fine.
    """

    source: Source
    grid_source: Source
    kinds: tuple[Kind, ...]
    ttls_s: tuple[float, ...]
    replicas: tuple[int, ...]
    own_ttl_s: float
    own_replicas: int
    grid_ttls_s: tuple[float, ...]
    grid_replicas: tuple[int, ...]
    routing: Routing
    maxmemory: int | None
    memory_total: int | None
    times: dict[Topology, Times]
    link: Link
    quota: Quota | None
    deploys_per_day: float
    start: Literal["cold", "steady"]
    rate: float
    peak_rate: float
    base: Variant
    body_bytes: float
    traffic: dict[str, Any]
    span: Span
    costly: bool = False
    refined: bool = False
    memories: tuple[int, ...] = ()
    begins_us: int | None = None
    assumptions: tuple[Assumption, ...] = ()
    notes: tuple[str, ...] = ()
    command: tuple[str, ...] = field(default=())

    def each_maxmemory(self, topology: Topology, replicas: int) -> int | None:
        """Return the bytes of each cache of a topology; None: no limit."""
        if self.memory_total is not None:
            return self.memory_total if topology == "separate" else self.memory_total // replicas
        return self.maxmemory
