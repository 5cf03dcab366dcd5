"""What a stack is: that which deploys a variant, tells where it answers, counts, and removes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from compose.faults import Faults
from scenarios.contract import OURS, Contract
from scenarios.facts import AppFacts, FillingFacts, LinkFacts, UpstreamFacts, UsageFacts
from scenarios.model import Variant


class StackError(Exception):
    """Something of a deployment fails. The message says what, its last words, and the remedy.

    `reason` is the message without the last words of `part`, the process or container that failed.
    """

    def __init__(self, reason: str, part: str = "", last_words: str = "") -> None:
        super().__init__(f"{reason}; the end of its log:\n{last_words}" if part else reason)
        self.reason = reason
        self.part = part
        self.last_words = last_words


class UnsuitableError(StackError):
    """A variant can be deployed at no attempt: the scenario has to change."""


@dataclass(frozen=True)
class Lost:
    """A part of a deployment that is gone, or stands still, though nobody asked for it.

    `how` goes on from its name: "was killed (SIGKILL)".
    """

    name: str
    how: str
    last_words: str


@dataclass(frozen=True)
class Held:
    """What a cache is to hold: the target of a request, and for how long it is fresh (s).

    Caches are numbered like the targets of a deployment; one that all share is number 0. Fewer than 0
    seconds: it has been expired for so long, and is still kept.
    """

    cache: int
    target: str
    left_s: float


class Filling(ABC):
    """Caches that are being filled, while its context lasts."""

    @abstractmethod
    def __enter__(self) -> Filling:
        """Begin to fetch what the caches are to hold."""

    @abstractmethod
    def __exit__(self, *_: object) -> None:
        """Give back what was held for it."""

    @abstractmethod
    def fetched(self) -> None:
        """Wait until everything is fetched; the upstream is then as it is to be in the trial.

        Raises:
            StackError: it cannot be fetched.
        """

    @abstractmethod
    def close(self) -> None:
        """End what fills them; a second call does nothing."""

    @abstractmethod
    def store(self, begin_s: float) -> FillingFacts:
        """Store everything, so that lifetimes count from a moment (Unix time); again for a later one.

        Raises:
            StackError: it cannot be stored.
        """


class Deployment(ABC):
    """One variant, deployed for one trial. On leaving its context nothing of it is left."""

    link: LinkFacts | None
    notes: tuple[str, ...] = ()
    redis_server: str | None = None  # name and version, where there is one
    contract: Contract = OURS
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    @abstractmethod
    def targets(self) -> tuple[str, ...]:
        """The base URLs of the replicas that serve."""

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @abstractmethod
    def app_counts(self) -> AppFacts | None:
        """Read the replicas' metrics; None where they are not to be had.

        Raises:
            StackError: a replica does not answer.
        """

    @abstractmethod
    def upstream_counts(self) -> UpstreamFacts | None:
        """Ask the upstream for its own counts; None where nobody but the load side has counted.

        Raises:
            StackError: it does not answer.
        """

    @abstractmethod
    def set_upstream(self, **settings: object) -> None:
        """Change how the stub upstream answers from now on: latency_ms, error_ratio, rate_limit, stalled.

        Raises:
            StackError: it does not answer.
        """

    def begins(self, origin_s: float) -> None:
        """Tell a stub that answers as a log does when the schedule begins, by this machine's monotonic clock.

        Raises:
            StackError: it does not answer.
        """
        self.set_upstream(log_origin_s=origin_s)

    @abstractmethod
    def fill(self, held: Sequence[Held]) -> Filling:
        """Return the filling of its caches. Nothing of it is in any count.

        Raises:
            StackError: its caches cannot be filled.
        """

    @abstractmethod
    def measure_link(self) -> LinkFacts:
        """Measure the way to Redis now; meaningless in the topology without a cache.

        Raises:
            StackError: Redis does not answer.
        """

    @abstractmethod
    def usage(self) -> Sequence[UsageFacts]:
        """Return what each part has used since it was started."""

    def lost(self) -> tuple[Lost, ...]:
        """Return the parts that have ended or stand still, other than by `faults`.

        Raises:
            StackError: it cannot be told.
        """
        return ()

    @property
    def faults(self) -> Faults:
        """What can be done to it while it is loaded.

        Raises:
            StackError: nothing can, on this stack.
        """
        raise StackError("this stack does not support faults")

    @abstractmethod
    def down(self) -> None:
        """Remove the deployment; a second call does nothing."""


class Stack(ABC):
    """Deploys variants, one at a time, for one run."""

    run_id: str
    load_cpus: tuple[int, ...] = ()
    deploys: bool = True  # what is loaded, with a stub upstream behind it

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> Deployment:
        """Deploy a variant and wait until every replica is ready; `folder` takes the logs.

        Raises:
            StackError: it cannot be deployed; nothing of it is left.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what was held for the run."""
