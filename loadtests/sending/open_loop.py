"""The open loop: each request is sent when it is due, whatever became of those before it.

The hub calls `OpenLoop` at each arrival's time. It hands the request to the free user that was busy last
(its connection is the warmest); where none is free the request waits its turn, and the wait shows as
send lag. Nothing is dropped while the schedule lasts; what is still waiting `OVERRUN_S` after its last
request was due is not sent, and counted as unsent.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Final

import gevent
from gevent.event import Event

from loadtests.reading.answers import Reader
from loadtests.sending.client import Connection, Target, TransportError
from loadtests.sending.recorder import Recorder
from loadtests.sending.timer import Timer
from loadtests.sending.under_way import UnderWay
from scenarios.contract import OURS, Contract
from scenarios.outcomes import ERROR, REASON

_WARM: Final = 8
_LEAD_NS: Final = 20_000_000
_SWEEP_S: Final = 0.1
# How long after the last request was due those that wait for their turn are still sent.
OVERRUN_S: Final = 5.0
_TIMED_OUT, _LATE, _BROKEN_OFF = (
    REASON[word] for word in ("no answer in time", "answered too late", "broken off")
)


class _TimedOutError(Exception):
    """Thrown into a user whose request has no answer in time."""


class OpenLoop:
    """The requests of one trial on their way to the targets."""

    def __init__(
        self,
        recorder: Recorder,
        targets: tuple[str, ...],
        timeout_s: float,
        warmup_s: float = 0.0,
        *,
        contract: Contract = OURS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        requests = recorder.requests
        self._at_us = array("q", requests.at_us.tobytes())
        self._keys = array("i", requests.keys.tobytes())
        self._replicas = array("h", requests.replicas.tobytes())
        self._lines = {
            key: f" {contract.path_of(path)} HTTP/1.1\r\n".encode() for key, path in requests.paths.items()
        }
        heads = bytes(len(self._at_us)) if requests.heads is None else requests.heads.tobytes()
        self._methods = [(b"GET", b"HEAD")[head] for head in heads]
        self._read = Reader(contract).read
        self._targets = [Target.of(url) for url in targets]
        self._tails = [_tail(target, headers or {}) for target in self._targets]
        self._connections: list[list[Connection]] = [[] for _ in targets]
        self.recorder = recorder
        self._timeout_ns = int(timeout_s * 1e9)
        self._hub = gevent.get_hub()
        self._timer = Timer(self._arrive)
        self._idle: list[gevent.Greenlet] = []
        self._backlog: deque[int] = deque()
        self._busy: dict[gevent.Greenlet, int] = {}
        self._next = 0
        self._origin_ns = 0
        self._window_ns = (int(warmup_s * 1e9), int(requests.span_s * 1e9))
        self._under_way = UnderWay(0, 0)
        self.most_users = 0
        self.unsent = 0
        self.done = Event()

    @property
    def started(self) -> bool:
        """Whether the schedule has begun."""
        return self._origin_ns > 0

    @property
    def free_users(self) -> int:
        """How many users wait for a request."""
        return len(self._idle)

    @property
    def offered(self) -> int:
        """How many requests have been due."""
        return self._next

    @property
    def sent(self) -> int:
        """How many requests have been handed to a user."""
        return self._next - len(self._backlog) - self.unsent

    @property
    def under_way(self) -> float | None:
        """How many requests were under way at once, on average over the time after the warm-up."""
        return self._under_way.mean

    @property
    def origin_s(self) -> float:
        """When the schedule begins, by the system's monotonic clock."""
        return self._origin_ns / 1e9

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of the schedule."""
        return (time.perf_counter_ns() - self._origin_ns) / 1e9

    def connect(self) -> None:
        """Open a few connections to each target, so that the first requests do not pay for it.

        Raises:
            TransportError: a target refuses.
        """
        for connections, target in zip(self._connections, self._targets, strict=True):
            for _ in range(_WARM):
                connection = Connection(target)
                connection.connect()
                connections.append(connection)

    def start(self, at_ns: int | None = None) -> None:
        """Begin the schedule at a time of `time.perf_counter_ns`; where none is given, a moment from now."""
        self._origin_ns = time.perf_counter_ns() + _LEAD_NS if at_ns is None else at_ns
        self._under_way = UnderWay(*(self._origin_ns + end_ns for end_ns in self._window_ns))
        if not self._at_us:
            self.done.set()
        gevent.spawn(self._sweep)
        self._rearm()

    def halt(self) -> None:
        """Send nothing that is not yet on its way."""
        self._timer.close()
        self._backlog.clear()

    def close(self) -> None:
        """Halt, and close every connection."""
        self.halt()
        for connections in self._connections:
            for connection in connections:
                connection.close()

    def serve(self) -> None:
        """What a user does all its life: take a request, send it, record it."""
        me = gevent.getcurrent()
        while True:
            if self._backlog:
                index = self._backlog.popleft()
            else:
                self._idle.append(me)
                try:
                    index = self._hub.switch()
                except gevent.GreenletExit:
                    self._idle.remove(me)
                    raise
            self._send(me, index)

    def _send(self, me: gevent.Greenlet, index: int) -> None:
        replica = self._replicas[index]
        connections = self._connections[replica]
        connection = connections.pop() if connections else Connection(self._targets[replica])
        request = self._methods[index] + self._lines[self._keys[index]] + self._tails[replica]
        busy, under_way = self._busy, self._under_way
        sent_ns = time.perf_counter_ns()
        under_way.changes(len(busy), sent_ns)
        busy[me] = sent_ns
        if len(busy) > self.most_users:
            self.most_users = len(busy)
        status, code, length, reason, told_by = 0, ERROR, 0, _BROKEN_OFF, 0
        try:
            status, head, length = connection.exchange(request)
            code, reason, told_by = self._read(status, head)
        except TransportError as error:
            reason = REASON[error.reason]
        except _TimedOutError:
            reason = _TIMED_OUT
        finally:
            ended_ns = time.perf_counter_ns()
            if ended_ns - sent_ns > self._timeout_ns and code != ERROR:
                code, reason = ERROR, _LATE
            under_way.changes(len(busy), ended_ns)
            del busy[me]
            connections.append(connection)
            origin_ns = self._origin_ns
            self.recorder.row(
                index,
                (sent_ns - origin_ns) // 1000,
                (ended_ns - origin_ns) // 1000,
                status,
                code,
                length,
                reason,
                told_by,
            )
            if not busy and self._next == len(self._at_us) and not self._backlog:
                self.done.set()

    def _arrive(self) -> None:
        """Hand over every request that is due. Runs in the hub."""
        at_us, count = self._at_us, len(self._at_us)
        while self._next < count and self._origin_ns + at_us[self._next] * 1000 <= time.perf_counter_ns():
            index = self._next
            self._next = index + 1
            if self._idle:
                self._idle.pop().switch(index)
            else:
                self._backlog.append(index)
        self._rearm()

    def _rearm(self) -> None:
        if self._next < len(self._at_us):
            self._timer.set(self._origin_ns + self._at_us[self._next] * 1000)

    def _sweep(self) -> None:
        """Give up on requests that have waited too long for their answer."""
        while not self.done.wait(_SWEEP_S):
            limit_ns = time.perf_counter_ns() - self._timeout_ns
            for user, since_ns in list(self._busy.items()):
                if since_ns < limit_ns:
                    # Only the hub may throw: whoever else did would never be switched to again.
                    self._hub.loop.run_callback(self._give_up, user, since_ns)
            if time.perf_counter_ns() > self._last_ns + int(OVERRUN_S * 1e9):
                self._drop()

    def _drop(self) -> None:
        """Send nothing of what is still waiting: the load is above what the users or the target can bear."""
        count = len(self._at_us)
        self.unsent += len(self._backlog) + count - self._next
        self._backlog.clear()
        self._next = count
        if not self._busy:
            self.done.set()

    @property
    def _last_ns(self) -> int:
        """When the last request is due."""
        return self._origin_ns + self._at_us[-1] * 1000 if self._at_us else self._origin_ns

    def _give_up(self, user: gevent.Greenlet, since_ns: int) -> None:
        if self._busy.get(user) == since_ns:
            user.throw(_TimedOutError)


def _tail(target: Target, headers: Mapping[str, str]) -> bytes:
    """Return the rest of a request's head: the host, unless a header names another, and headers."""
    host = {} if any(name.lower() == "host" for name in headers) else {"Host": f"{target.host}:{target.port}"}
    lines = [f"{name}: {value}\r\n" for name, value in (host | dict(headers)).items()]
    return "".join([*lines, "\r\n"]).encode("latin-1")
