"""The embedded stack: real Redis, real uvicorn and the stub upstream as plain processes on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from compose import counts
from compose.docker.composition import task_budget
from compose.faults import Faults
from compose.filling import OPTIONS, Place, Warming
from compose.host import commands, launch, ownership, redis_binary, sealed
from compose.host.cgroups import Budgets
from compose.host.children import Children
from compose.host.interrupts import shielded
from compose.link.calibration import Calibration
from compose.link.control import LinkControl
from compose.link.hop import Hop
from compose.local.faults import ProcessFaults
from compose.local.fleet import Fleet
from compose.local.servers import Servers
from compose.stack import Deployment, Filling, Held, Lost, Stack, StackError
from scenarios.facts import AppFacts, LinkFacts, UpstreamFacts, UsageFacts
from scenarios.model import Resources, Variant
from traffic.logs.handing import with_stored_log

_PING_WITHIN_S: Final = 60.0


class ProcessStack(Stack):
    """Deploys variants as local processes; the load generator gets a core of its own where there are two."""

    def __init__(self, run_id: str) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.run_id = run_id
        self.load_cpus = tuple(cores[-1:]) if len(cores) > 1 else ()
        self.cpus = tuple(cores[:-1]) if len(cores) > 1 else ()
        self.redis = redis_binary.find()
        self.calibration = Calibration()
        self.budgets = Budgets(run_id, "cgroupfs")

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> ProcessDeployment:
        deployment = ProcessDeployment(self, with_stored_log(variant, folder), folder)
        try:
            deployment.up(seed)
        except BaseException:
            deployment.down()
            raise
        return deployment

    def close(self) -> None:
        self.budgets.remove()


class ProcessDeployment(Deployment):
    """One variant as local processes."""

    def __init__(self, stack: ProcessStack, variant: Variant, logs: Path) -> None:
        self._stack = stack
        self._variant = variant
        self._logs = logs
        self._folder = ownership.make_folder()
        self._children = Children(stack.run_id, logs)
        self.servers = Servers(variant, stack.redis, self._children, self._folder, self._doors)
        self._fleet = Fleet(variant, self.servers, lambda: self._children.place(stack.cpus))
        self._hop = Hop(variant, stack.calibration, self._pinged)
        self.link = None
        self.redis_server = str(stack.redis) if variant.layout.has_redis else None

    @property
    def targets(self) -> tuple[str, ...]:
        return self._fleet.targets

    @property
    def faults(self) -> Faults:
        return ProcessFaults(self._fleet)

    def up(self, seed: int) -> None:
        """Start everything at once, wait until every replica is ready, and measure the link."""
        self._fleet.start(seed)
        if self._variant.layout.has_redis:
            relay = self._fleet.relay
            self.link = self._calibrated_link(relay) if relay else self.measure_link()

    def _doors(self, server: str) -> list[Path]:
        """Return the doors of the budget of a server's task: none where there is nothing to keep to."""
        budget, note = task_budget(self._variant)
        kind, _, number = server.partition("-")
        if kind not in ("app", "redis") or budget == Resources():
            return []
        if not self._stack.budgets.allowed:
            self._note("resource limits are not enforced: cgroups are not writable here (this needs root)")
            return []
        if note:
            self._note(note)
        name = f"{self._folder.name}-task-{number}"
        self._stack.budgets.task(name, budget)
        return self._stack.budgets.doors(name)

    def _note(self, note: str | None) -> None:
        if note and note not in self.notes:
            self.notes = (*self.notes, note)

    def app_counts(self) -> AppFacts:
        return self._fleet.counts()

    def upstream_counts(self) -> UpstreamFacts:
        return counts.upstream_counts(self._fleet.upstream.url)

    def set_upstream(self, **settings: object) -> None:
        counts.set_upstream(self._fleet.upstream.url, settings)

    def fill(self, held: Sequence[Held]) -> Filling:
        """Fill all caches from one place, so that each response is fetched once, and past the relay."""
        caches = [redis.address for redis in self._fleet.redis_servers()]
        names = [option for address in caches for option in ("--redis", address.name)]
        environment = self.servers.app_environment(self._fleet.upstream.url, caches[0])
        self.set_upstream(filling=True)
        place = Place(
            launch.command(sealed.python("-m", "app.warm", *OPTIONS, *names), cpus=self._stack.cpus),
            self._logs / "warm.log",
            range(len(caches)),
            sealed.environment(self._stack.run_id, **environment),
        )
        return Warming([place], held, lambda: self.set_upstream(filling=False))

    def lost(self) -> tuple[Lost, ...]:
        return self._children.lost()

    def usage(self) -> list[UsageFacts]:
        evicted = {redis.name: self.servers.evicted(redis) for redis in self._fleet.redis_servers()}
        return [
            used.model_copy(update={"evicted_keys": evicted.get(used.name)})
            for used in self._children.usage()
        ]

    def down(self) -> None:
        with shielded():
            self.servers.forget_secrets()
            self._children.stop()
            if self._fleet.relay:
                self._fleet.relay.close()
            self._stack.budgets.remove()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _calibrated_link(self, relay: LinkControl) -> LinkFacts:
        link, note = self._hop.calibrated(relay.delay)
        self._note(note)
        return link

    def measure_link(self) -> LinkFacts:
        return self._hop.measured("relay" if self._fleet.relay else "loopback")

    def _pinged(self, count: int) -> str:
        """Have PINGs sent from where the app stands: the replica's CPUs and the replica's own settings."""
        command = launch.command(
            sealed.python("-m", "app.ping", "--count", str(count)), cpus=self._stack.cpus
        )
        cache = next((replica.cache for replica in self._fleet.replicas.values() if replica.cache), None)
        if cache is None:
            raise StackError("there is no Redis to measure the round trip to")
        environment = sealed.environment(
            self._stack.run_id, UPSTREAM_URL=self._fleet.upstream.url, **self.servers.redis_environment(cache)
        )
        try:
            measured = commands.run(command, env=environment, within_s=_PING_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise StackError(
                f"the link cannot be measured: Redis did not answer all PINGs within {_PING_WITHIN_S:g} s"
            ) from error
        if measured.returncode != 0:
            why = measured.stderr.strip() or f"app.ping {commands.how_it_ended(measured.returncode)}"
            raise StackError(f"the link cannot be measured: {why}")
        return measured.stdout
