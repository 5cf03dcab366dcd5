"""Running services: nothing is deployed, and their own metrics are read before and after a load."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from compose import counts
from compose.external import upstream_count
from compose.stack import Deployment, Filling, Held, Stack, StackError
from scenarios.contract import OUR_APP, OURS, Contract
from scenarios.facts import AppFacts, LinkFacts, UpstreamFacts, UsageFacts
from scenarios.model import Variant

# Whoever answers at one address for several replicas is told by answers that differ: behind a fair coin,
# 8 readings miss two replicas once in 128 times, and then the counts disagree.
_READINGS: Final = 8
_CREDENTIALS: Final = (401, 403, 407)
WARM: Final = (
    "Targets are not deployed fresh: their caches contained what earlier trials and others had left. "
    "Theory needs "
    "a known start and is not used. The causes of misses are not known either."
)


def is_here(url: str) -> bool:
    """Whether a URL leads to this machine and nowhere else: to loopback, or to an interface's own address.

    Raises:
        StackError: its host stands for no IPv4 address.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        # The load is sent over IPv4: no other address matters.
        found = socket.getaddrinfo(host, parts.port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise StackError(f"{url}: the host {host} has no known IPv4 address") from error
    own = {address.address for of_one in psutil.net_if_addrs().values() for address in of_one}
    names = {str(entry[4][0]) for entry in found}
    return all(name in own or ipaddress.ip_address(name).is_loopback for name in names)


@dataclass(frozen=True)
class Calls:
    """How the services are called: by which contract, with which headers, and a key to try.

    `count_url`: where the upstream's own count can be read, if anywhere.
    """

    contract: Contract = OURS
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: str = ""
    count_url: str | None = None


def check_answers(label: str, url: str, calls: Calls | None = None) -> None:
    """Have a target show that it is there, before it is loaded.

    Raises:
        StackError: it does not answer, or wants what the requests do not have.
    """
    calls = calls or Calls()
    ready = calls.contract.ready
    said = []
    for path in ready or (calls.contract.path_of(calls.key),):
        try:
            status, _ = counts.get(url, path, headers=calls.headers)
        except OSError as error:
            said.append(f"{path}: {error}")
            continue
        if not ready and (status in _CREDENTIALS or 300 <= status < 400):
            raise StackError(_not_as_asked(label, url, path, status))
        # A path that its upstream does not have is an answer; a service without the first path says 404, too.
        if status < 300 or (path not in ready[:1] and status < 500):
            return
        said.append(f"{path}: status {status}")
    raise StackError(
        f"the target {label} at {url} does not answer ({'; '.join(said)}); make sure that it runs and "
        "can be reached from here"
    )


def _not_as_asked(label: str, url: str, path: str, status: int) -> str:
    said = f"the target {label} at {url} answers {path} with status {status}: "
    if status in _CREDENTIALS:
        return said + "send credentials with --header, such as --header @secret.txt"
    return said + "redirects are not followed; use the URL and --path that it leads to"


class TargetStack(Stack):
    """Hands out the URLs of running services: by label, which is the variant's."""

    def __init__(self, run_id: str, urls: Mapping[str, Sequence[str]], calls: Calls | None = None) -> None:
        self.run_id = run_id
        self.deploys = False
        self._calls = calls or Calls()
        self._urls = {label: tuple(each) for label, each in urls.items()}
        cores = sorted(os.sched_getaffinity(0))
        # As on the other stacks the generator has a core of its own; services elsewhere leave it all of them.
        self._here = {url for each in self._urls.values() for url in each if is_here(url)}
        self.load_cpus = tuple(cores[-1:]) if self._here and len(cores) > 1 else ()

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> TargetDeployment:
        urls = self._urls[variant.label]
        for url in urls:
            if url in self._here and not is_here(url):  # what may be loaded was decided by where it leads
                raise StackError(f"{url} pointed to this machine when the run began, but no longer does")
            check_answers(variant.label, url, self._calls)
        return TargetDeployment(variant.label, urls, self._calls)

    def close(self) -> None:
        """Nothing is held."""


class TargetDeployment(Deployment):
    """One target, for one trial."""

    def __init__(self, label: str, urls: tuple[str, ...], calls: Calls | None = None) -> None:
        self._label = label
        self._calls = calls or Calls()
        self.contract, self.headers = self._calls.contract, self._calls.headers
        self._urls = urls
        self.link = None
        self.notes = (WARM,)
        self._before = self._read() if self.contract.metrics is not None else None
        self._calls_before = self._upstream_count()
        self._counted: AppFacts | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        return self._urls

    def app_counts(self) -> AppFacts | None:
        """Return what the metrics have counted since the trial began; None where they cannot be read."""
        after = self._read() if self._before is not None else None
        if self._before is None or after is None:
            return None
        self._counted = AppFacts()
        for before, now in zip(self._before, after, strict=True):
            self._counted += self._since(before, now)
        self._note(
            f"{self._label}: upstream calls are those that the app counted itself "
            f"({OUR_APP.counters.calls}); there is no stub behind a target that would count them again."
        )
        return self._counted

    def upstream_counts(self) -> UpstreamFacts | None:
        """Return the count at the upstream's URL, or the app's own, once `app_counts` has read it.

        None where neither can be read.
        """
        if self._calls_before is not None:
            after = self._upstream_count()
            if after is not None and after >= self._calls_before:
                return UpstreamFacts(calls=after - self._calls_before, counted_by="url")
            if after is not None:
                self._note(f"{self._label}: the upstream's count went back in a trial, as after a restart.")
        if self._counted is None:
            return None
        return UpstreamFacts(calls=self._counted.upstream_calls, counted_by="app")

    def _upstream_count(self) -> int | None:
        if self._calls.count_url is None:
            return None
        try:
            return upstream_count.read(self._calls.count_url)
        except StackError as error:
            self._note(f"{self._label}: {error}.")
            return None

    def _read(self) -> list[AppFacts] | None:
        """Read the metrics of every replica; None, with a note, where that makes no sense of all of them."""
        found = []
        for url in self._urls:
            try:
                found.append(_steady(url))
            except StackError as error:
                self._note(
                    f"{self._label}: {error}; outcomes and upstream calls are those of the Cache-Status "
                    "headers alone, and nobody counted beside the load side."
                )
                return None
        return found

    def _since(self, before: AppFacts, now: AppFacts) -> AppFacts:
        outcomes = Counter(now.outcomes)
        outcomes.subtract(before.outcomes)
        calls = now.upstream_calls - before.upstream_calls
        errors = now.redis_errors - before.redis_errors
        if min([calls, errors, *outcomes.values()]) < 0:
            self._note(f"{self._label}: its counters went back in a trial, as after a restart.")
            return now
        return AppFacts(
            outcomes={word: count for word, count in outcomes.items() if count},
            upstream_calls=calls,
            redis_errors=errors,
        )

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes = (*self.notes, note)

    def set_upstream(self, **settings: object) -> None:
        raise StackError("the upstream of a target cannot be set")

    def fill(self, held: Sequence[Held]) -> Filling:
        raise StackError("the caches of a target cannot be filled")

    def measure_link(self) -> LinkFacts:
        raise StackError("the round trip from a target to its Redis cannot be measured from here")

    def usage(self) -> list[UsageFacts]:
        return []

    def down(self) -> None:
        """Targets stay as they are."""


def _steady(url: str) -> AppFacts:
    """Read a replica's metrics, and make sure that it is one replica that answers.

    Raises:
        StackError: there are no metrics, or several replicas answer.
    """
    with counts.Replica(url) as replica:
        first = replica.counts()
    for _ in range(_READINGS - 1):
        with counts.Replica(url) as replica:
            if replica.counts() != first:
                raise StackError(
                    f"the metrics at {url} differ between readings: several replicas "
                    "answer there, or others use it"
                )
    return first
