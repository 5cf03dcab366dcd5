"""Faults and lifecycle of a deployment of local processes."""

from __future__ import annotations

from compose import counts
from compose.faults import Faults
from compose.link.control import LinkControl
from compose.local.fleet import Fleet
from compose.local.servers import RedisServer, Replica
from compose.stack import StackError


class ProcessFaults(Faults):
    """Signals to processes, new processes at old addresses, and the relay's own cut."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def kill_redis(self, number: int = 1) -> None:
        self._redis(number).child.kill()

    def stop_redis(self, number: int = 1) -> None:
        self._redis(number).child.end()

    def start_redis(self, number: int = 1) -> None:
        redis = self._redis(number)
        if redis.child.is_running():
            raise StackError(f"{redis.name} runs already")
        self._fleet.servers.restart(redis)

    def pause_redis(self, number: int = 1) -> None:
        self._redis(number).child.pause()

    def resume_redis(self, number: int = 1) -> None:
        self._redis(number).child.resume()

    def kill_replica(self, number: int = 1) -> None:
        replica = self._replica(number)
        if replica.app.child.is_running():
            with counts.Replica(replica.app.url) as counted:
                self._fleet.retire(counted.counts())
            replica.app.child.kill()
        if replica.sidecar:
            replica.sidecar.child.kill()

    def replace_replica(self, number: int = 1) -> None:
        self.kill_replica(number)
        self._take_over(self._replica(number))

    def add_replica(self) -> str:
        replica = self._fleet.start_replica(max(self._fleet.replicas, default=0) + 1)
        self._fleet.await_replica(replica)
        self._fleet.serve(replica)
        return replica.app.url

    def remove_replica(self, number: int) -> None:
        replica = self._replica(number)
        with counts.Replica(replica.app.url) as counted:
            self._fleet.dismiss(number)
            self._end(replica, counted)

    def roll(self) -> None:
        for number in sorted(self._fleet.replicas):
            before = self._replica(number)
            with counts.Replica(before.app.url) as counted:
                self._take_over(before)  # both serve, until the old one is told to end
                self._end(before, counted)

    def cut_link(self) -> None:
        self._relay().cut()

    def heal_link(self) -> None:
        self._relay().heal()

    def _take_over(self, before: Replica) -> None:
        replica = self._fleet.start_replica(before.number, before.app.port)
        self._fleet.await_replica(replica)
        self._fleet.serve(replica)

    def _end(self, replica: Replica, counted: counts.Replica) -> None:
        self._fleet.retire(counted.counts())
        replica.app.child.end()
        if replica.sidecar:
            replica.sidecar.child.end()

    def _replica(self, number: int) -> Replica:
        try:
            return self._fleet.replicas[number]
        except KeyError:
            raise StackError(f"there is no replica {number}") from None

    def _redis(self, number: int) -> RedisServer:
        separate = self._fleet.separate
        if separate and number == 1:
            return separate
        sidecar = None if separate else self._replica(number).sidecar
        if sidecar is None:
            raise StackError(f"there is no Redis {number} in this topology")
        return sidecar

    def _relay(self) -> LinkControl:
        if self._fleet.relay is None:
            raise StackError("there is no link to cut: the topology is not `separate`, or its RTT is 0")
        return self._fleet.relay
