"""Topologies: where caches are and who shares them, and all that follows from that.

The one place that knows topologies by name. A new one is an object here, Compose files or templates where it
is deployed in a way of its own, and a page of documentation: nothing else asks for a topology's name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from scenarios.outcomes import OF_CACHES

# One GET for a hit; GET, then SET with its expiry, for a miss; a lease adds a claim, another GET, a release.
_COMMANDS: Final[Mapping[str, int]] = {"hit": 1, "miss": 2, "other": 1}
_LEASED: Final[Mapping[str, int]] = {**_COMMANDS, "miss": 5}


@dataclass(frozen=True)
class Topology:
    """Where caches are and who shares them. `label` is what it is called in a sentence.

    `caches`: nobody has one, each replica has its own, or all share one. `redis`: there is none, one in the
    task of each replica, or one that is a task of its own. `linked`: requests to Redis cross the link.
    `unused`: beginnings of the fields that make no difference in it. `deployed`: scenarios can ask for it.
    `exported`: there are templates for it.
    """

    name: str
    label: str
    caches: Literal["none", "own", "shared"]
    redis: Literal["none", "in task", "apart"]
    linked: bool = False
    unused: tuple[str, ...] = ()
    deployed: bool = True
    exported: bool = False

    @property
    def cached(self) -> bool:
        """Whether there is any cache."""
        return self.caches != "none"

    @property
    def shared(self) -> bool:
        """Whether all replicas share one cache."""
        return self.caches == "shared"

    @property
    def has_redis(self) -> bool:
        """Whether there is any Redis."""
        return self.redis != "none"

    @property
    def in_task(self) -> bool:
        """Whether each replica's task has a Redis."""
        return self.redis == "in task"

    @property
    def apart(self) -> bool:
        """Whether Redis is a task of its own."""
        return self.redis == "apart"

    @property
    def impossible_outcomes(self) -> tuple[str, ...]:
        """The outcomes that it cannot have: without a cache, all that come out of one."""
        return () if self.cached else OF_CACHES

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Its place among the topologies by what it needs, the one that needs least first."""
        return (self.cached, self.has_redis, self.apart)

    def cache_count(self, replicas: int) -> int:
        """Return how many caches so many replicas have."""
        return {"none": 0, "own": replicas, "shared": 1}[self.caches]

    def cache_of(self, replica: int) -> int:
        """Return the number of the cache that a replica asks; both are counted from 0."""
        return 0 if self.shared else replica

    def redis_count(self, replicas: int) -> int:
        """Return how many Redis servers so many replicas have; they share the memory."""
        return {"none": 0, "in task": replicas, "apart": 1}[self.redis]

    def tasks(self, replicas: Sequence[int]) -> list[str]:
        """Name the tasks of replicas of these numbers: one for each, and one for a Redis of its own."""
        return [*(f"task-{number}" for number in replicas), *(["redis"] if self.apart else [])]

    def containers(self, replica: int) -> list[str]:
        """Name the containers of a replica's task."""
        return [f"app-{replica}", *([f"redis-{replica}"] if self.in_task else [])]

    def commands(self, *, lease: bool) -> Mapping[str, int]:
        """Return how many commands the app sends Redis for a request, by its kind: hit, miss, other."""
        if not self.has_redis:
            return dict.fromkeys(_COMMANDS, 0)
        return _LEASED if lease else _COMMANDS


SIDECAR: Final = Topology("sidecar", "the sidecar", "own", "in task", unused=("link.",), exported=True)
SEPARATE: Final = Topology(
    "separate", "a separate Redis", "shared", "apart",
    linked=True, unused=("cache.sidecar_transport",), exported=True,
)  # fmt: skip
NONE: Final = Topology("none", "no cache", "none", "none", unused=("link.", "cache."))
PROCESS: Final = Topology(
    "process", "a cache in the process", "own", "none",
    unused=("link.", "cache.sidecar_transport", "cache.maxmemory"), deployed=False,
)  # fmt: skip
_known: dict[str, Topology] = {each.name: each for each in (SIDECAR, SEPARATE, NONE, PROCESS)}


def of(name: str) -> Topology:
    """Return the topology of this name.

    Raises:
        KeyError: there is none.
    """
    return _known[name]


def deployed() -> tuple[str, ...]:
    """Return the names of the topologies that can be deployed, in the order in which they are shown."""
    return tuple(name for name, each in _known.items() if each.deployed)


def ranked() -> tuple[str, ...]:
    """Return all names, the topology that needs least first."""
    return tuple(sorted(_known, key=lambda name: _known[name].rank))


def exported() -> tuple[str, ...]:
    """Return the names of the topologies that deployment files can be written for."""
    return tuple(name for name, each in _known.items() if each.exported)


@contextlib.contextmanager
def registered(topology: Topology) -> Iterator[Topology]:
    """Know one more topology for a while."""
    assert topology.name not in _known, f"{topology.name} is known already"
    _known[topology.name] = topology
    try:
        yield topology
    finally:
        del _known[topology.name]


def _one_of(names: Callable[[], Sequence[str]]) -> tuple[BeforeValidator, WithJsonSchema]:
    """Return what makes a field take these names alone: those that are known when it is read."""

    def checked(name: object) -> object:
        if name not in names():
            *most, last = map(repr, names())
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(most)} or {last}"})
        return name

    return BeforeValidator(checked), WithJsonSchema({"enum": list(names()), "type": "string"})


TopologyName = Annotated[str, *_one_of(deployed)]
# Those, too, that are predicted and cannot be deployed yet.
PredictedName = Annotated[str, *_one_of(ranked)]
