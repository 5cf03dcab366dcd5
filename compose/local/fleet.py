"""The replicas of an embedded deployment and the cache that they share: started, serving, and counted.

What is deployed at first and what is done to it later both start and retire replicas; both do it here.
"""

from __future__ import annotations

from collections.abc import Callable

from compose import counts
from compose.link.control import LinkControl
from compose.local.servers import Address, RedisServer, Replica, Server, Servers
from scenarios.facts import AppFacts
from scenarios.model import Variant


class Fleet:
    """The replicas that serve, by number, and what those that are gone have counted.

    `confine` puts the processes that were started onto the CPUs that they may use.
    """

    def __init__(self, variant: Variant, servers: Servers, confine: Callable[[], None]) -> None:
        self._variant = variant
        self._confine = confine
        self._upstream: Server | None = None
        self._shared: Address | None = None
        self._retired = AppFacts()
        self.servers = servers
        self.separate: RedisServer | None = None
        self.relay: LinkControl | None = None
        self.replicas: dict[int, Replica] = {}

    @property
    def upstream(self) -> Server:
        """The upstream that replicas call."""
        assert self._upstream is not None, "it starts with the fleet"
        return self._upstream

    @property
    def targets(self) -> tuple[str, ...]:
        """Where the replicas answer."""
        return tuple(replica.app.url for _, replica in sorted(self.replicas.items()))

    def start(self, seed: int) -> None:
        """Start everything at once, and wait until every replica is ready."""
        self._upstream = self.servers.upstream(seed)
        if self._variant.layout.apart:
            self.separate = self.servers.separate()
            self._shared = self.separate.address
            if self._variant.relayed:
                self._shared, self.relay = self.servers.link(self.separate.address)
        for number in range(1, self._variant.replicas + 1):
            self.serve(self.start_replica(number))
        self.servers.await_http(self._upstream, "/_stub/counts")
        for replica in self.replicas.values():
            self.await_replica(replica)

    def start_replica(self, number: int, port: int = 0) -> Replica:
        """Start a replica, with its sidecar where the topology has one; it is ready a moment later."""
        sidecar = self.servers.sidecar(number) if self._variant.layout.in_task else None
        cache = sidecar.address if sidecar else self._shared
        return Replica(number, self.servers.app(number, self.upstream.url, cache, port), cache, sidecar)

    def await_replica(self, replica: Replica) -> None:
        """Wait until a replica is ready, and confine it."""
        self.servers.await_http(replica.app)
        self._confine()  # not sooner: imports may use every core

    def serve(self, replica: Replica) -> None:
        """Count a replica among those that serve, in the place of the one of its number."""
        self.replicas[replica.number] = replica

    def dismiss(self, number: int) -> None:
        """Count a replica no longer among those that serve."""
        del self.replicas[number]

    def retire(self, counted: AppFacts) -> None:
        """Keep what a replica has counted that is about to go."""
        self._retired += counted

    def counts(self) -> AppFacts:
        """Return what all replicas have counted, those that are gone included.

        Raises:
            StackError: a replica does not answer.
        """
        living = [replica.app.url for replica in self.replicas.values() if replica.app.child.is_running()]
        return self._retired + counts.app_counts(living)

    def redis_servers(self) -> list[RedisServer]:
        """Return the Redis servers, in the order in which caches are numbered."""
        sidecars = [replica.sidecar for _, replica in sorted(self.replicas.items())]
        return [redis for redis in [self.separate, *sidecars] if redis]
