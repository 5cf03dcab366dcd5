"""More load than one process gives: what master and workers tell each other, and how a plan is shared out.

Each worker lays out the whole plan from the same order and takes every n-th request of it. Together they
send exactly what one process would have sent; their rows are put back into one table by the master.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field

from loadtests.order import Sending
from loadtests.sending.recorder import SOURCES, Recorder
from scenarios.outcomes import OUTCOMES
from scenarios.strict import Strict
from traffic.keys import Requests

# Raised whenever the messages or the sharing out change.
PROTOCOL: Final = 3
BATCH: Final = 20_000
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class DistributedError(Exception):
    """Master and workers cannot send a trial's load together; the message says who, what and the remedy."""


class Hello(Strict):
    """Who a worker is."""

    version: str = Field(max_length=100)
    host: str = Field(max_length=255)
    boot: str = Field(max_length=100, description="The same for all processes of one machine.")

    @classmethod
    def own(cls) -> Hello:
        """Introduce this process."""
        return cls(version=own_version(), host=socket.gethostname(), boot=own_boot())


class LaidOut(Strict):
    """What a worker has laid out: the fingerprint of its whole plan."""

    plan: str


class Failed(Strict):
    """Why a worker cannot take part, and the exit code that this means for the master."""

    reason: str = Field(max_length=2000)
    code: int


class Done(Strict):
    """What a worker counted itself, to be compared with its rows."""

    outcomes: dict[str, int]
    cpu_ratio: float = Field(ge=0)
    under_way: float | None = Field(None, ge=0)
    unsent: int = Field(0, ge=0, description="Requests that were still waiting when the trial ended.")

    @property
    def requests(self) -> int:
        """How many requests it sent."""
        return sum(self.outcomes.values())


class Progress(Strict):
    """How far a worker is."""

    offered: int
    sent: int
    outcomes: dict[str, int]


class Rows(Strict):
    """Some of a worker's rows, from its own number `first` on."""

    first: int = Field(ge=0)
    count: int = Field(ge=1, le=BATCH)
    columns: dict[str, bytes]


def own_version() -> str:
    """Return the version that master and worker must share."""
    try:
        version = metadata.version("sidecar-bench")
    except metadata.PackageNotFoundError:
        version = "not installed"
    return f"{version}, protocol {PROTOCOL}"


def own_boot() -> str:
    """Return what tells this machine, since it was started, from all others."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()


def share(plan: Requests, worker: int, workers: int) -> Requests:
    """Return a worker's share of a plan: requests `worker`, `worker + workers`, and so on."""
    mine = slice(worker, None, workers)
    return Requests(
        # Copied: the generator reads them as plain memory.
        plan.at_us[mine].copy(),
        plan.keys[mine].copy(),
        plan.replicas[mine].copy(),
        plan.paths,
        plan.span_s,
        None if plan.statuses is None else plan.statuses[mine].copy(),
        None if plan.heads is None else plan.heads[mine].copy(),
    )


def share_size(count: int, worker: int, workers: int) -> int:
    """Return how many of `count` requests are a worker's."""
    return len(range(worker, count, workers))


def fingerprint(plan: Requests) -> str:
    """Return what tells a plan from all others: machines that lay out another one must not go on."""
    digest = hashlib.blake2b(digest_size=16)
    for column, kind in ((plan.at_us, "<i8"), (plan.keys, "<i4"), (plan.replicas, "<i2")):
        digest.update(column.astype(kind).tobytes())
    digest.update(b"" if plan.heads is None else plan.heads.tobytes())
    for key, path in sorted(plan.paths.items()):
        digest.update(f"{key} {path}\n".encode())
    return digest.hexdigest()


class Merger:
    """Puts the workers' rows back where they were in the plan."""

    def __init__(self, plan: Requests, workers: int, sources: Sequence[str] = SOURCES) -> None:
        self._count = int(plan.at_us.size)
        self._workers = workers
        self._next = [0] * workers
        self.recorder = Recorder(plan, sources)

    def take(self, worker: int, rows: Rows) -> None:
        """Take a batch; one that is there already (its receipt was lost) changes nothing.

        Raises:
            DistributedError: it does not follow what is there, or is no part of the plan.
        """
        first, after = rows.first, rows.first + rows.count
        if after <= self._next[worker]:
            return
        if first != self._next[worker] or after > share_size(self._count, worker, self._workers):
            raise DistributedError(
                f"worker {worker + 1} sent rows {first} to {after - 1} of its share "
                f"where {self._next[worker]} was next"
            )
        place = slice(worker + first * self._workers, worker + (after - 1) * self._workers + 1, self._workers)
        try:
            self.recorder.unpack(place, rows.columns)
        except ValueError as error:
            raise DistributedError(f"worker {worker + 1} sent rows that cannot be read: {error}") from error
        self._next[worker] = after

    def whole(self) -> bool:
        """Whether the rows of every request are there."""
        return sum(self._next) == self._count

    def check(self, done: Sequence[Done]) -> None:
        """Hold what the workers counted against their rows.

        Raises:
            DistributedError: they disagree, or rows are missing.
        """
        unsent = sum(facts.unsent for facts in done)
        missing = self._count - self.recorder.counts.total() - unsent
        if missing:
            raise DistributedError(f"{missing} of {self._count} requests have no row")
        counted = added(facts.outcomes for facts in done)
        if counted != self.recorder.outcomes():
            raise DistributedError(
                f"the workers counted {counted}, and their rows say {self.recorder.outcomes()}"
            )


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add counts up, word by word, in the order of the outcomes."""
    total: Counter[str] = Counter()
    for some in counts:
        total.update(some)
    return {name: total[name] for name in OUTCOMES if total[name]}


def batches(requests: int) -> list[tuple[int, int]]:
    """Return where each batch of so many rows begins, and how many it has."""
    return [(first, min(BATCH, requests - first)) for first in range(0, requests, BATCH)]


def is_near(url: str) -> bool:
    """Whether a URL leads to loopback or private addresses only; a name counts by all that it stands for."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):  # a name that stands for nothing, or is none
        return False
    return all(_near(str(entry[4][0]).partition("%")[0]) for entry in found)


def _near(written: str) -> bool:
    address = ipaddress.ip_address(written)
    # An IPv4 address in IPv6's clothes counts as what it is.
    address = getattr(address, "ipv4_mapped", None) or address
    # Link-local: where clouds answer their machines' questions.
    return address.is_private and not address.is_link_local


def is_loopback(url: str) -> bool:
    """Whether a URL leads to the machine it is used on."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refusal(sending: Sending, hello: Hello, boot: str) -> str | None:
    """Say why a worker cannot take part in a trial; None where it can. `boot` is the master's."""
    if hello.boot == boot:
        return None
    here = [url for url in sending.targets if is_loopback(url)]
    if here:
        return (
            f"{here[0]} is on the master's own machine and cannot be reached from {hello.host}: workers on "
            "other machines need a target that they can reach; for local stacks use --workers"
        )
    if sending.workload.log is not None:
        return (
            f"{sending.workload.log}: the access log is on the master's machine and cannot be read on "
            f"{hello.host}: replay logs with --workers"
        )
    if sending.workload.keys.file is not None:
        return (
            f"{sending.workload.keys.file}: the file of paths is on the master's machine and cannot be read "
            f"on {hello.host}: use it with --workers"
        )
    return None
