"""The link: a relay that holds every chunk back for a set time, in both directions.

It stands in for the network where the kernel has no `tc netem`. Each chunk is due at its arrival plus the
delay, so that chunks under way overlap as packets do. The waiting is done by a timerfd, since the timeouts
of epoll are whole milliseconds. One process, one thread, no copy beyond the chunk itself.

`python -m compose.link --listen-fd FD --to HOST:PORT|SOCKET --delay-us N`; a line `delay N` or `cut` or
`heal` on standard input changes it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import heapq
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

_CHUNK: Final = 262_144
_MOST_HELD: Final = 4_194_304


class _Spec(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns"))


class Flow:
    """One direction of one connection: what is held, and what could not be sent yet."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.unsent = bytearray()
        self.held = 0
        self.ended = False


class Relay:
    """Relays connections from a listening socket to one address."""

    def __init__(self, listener: socket.socket, to: str, delay_us: float) -> None:
        self._listener = listener
        self._to = to
        self.delay_ns = int(delay_us * 1000)
        self._cut = False
        self._epoll = select.epoll()
        self._due: list[tuple[int, int, Flow, bytes]] = []
        self._count = 0
        self._actions: dict[int, Callable[[int], None]] = {}
        self._flows: dict[int, tuple[Flow, Flow]] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = self._libc.timerfd_create(1, os.O_NONBLOCK | os.O_CLOEXEC)
        listener.setblocking(False)
        self._watch(listener.fileno(), self._accept)
        self._watch(self._timer, self._timer_due)

    def watch_control(self, fd: int) -> None:
        """Take commands from a file descriptor, line by line; its end ends the relay."""
        os.set_blocking(fd, False)
        self._watch(fd, self._command)

    def run(self) -> None:
        """Relay until the control ends."""
        poll, actions = self._epoll.poll, self._actions
        while True:
            for fd, events in poll():
                action = actions.get(fd)
                if action is not None:
                    action(events)

    def _watch(self, fd: int, action: Callable[[int], None]) -> None:
        self._actions[fd] = action
        self._epoll.register(fd, select.EPOLLIN)

    def _command(self, _: int) -> None:
        data = os.read(0, 4096)
        if not data:
            sys.exit(0)
        for line in data.decode().splitlines():
            word, _, value = line.partition(" ")
            if word == "delay":
                self.delay_ns = int(float(value) * 1000)
            elif word in ("cut", "heal"):
                self._cut = word == "cut"
                if not self._cut:
                    self._timer_due(0)
            sys.stdout.write("ok\n")
            sys.stdout.flush()

    def _accept(self, _: int) -> None:
        near, _address = self._listener.accept()
        try:
            far = _connected(self._to)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setblocking(False)
            if end.family == socket.AF_INET:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        there, back = Flow(near, far), Flow(far, near)
        self._flows[near.fileno()] = (there, back)
        self._flows[far.fileno()] = (back, there)
        self._watch(near.fileno(), lambda events, fd=near.fileno(): self._ready(fd, events))  # type: ignore[misc]
        self._watch(far.fileno(), lambda events, fd=far.fileno(): self._ready(fd, events))  # type: ignore[misc]

    def _ready(self, fd: int, events: int) -> None:
        read, written = self._flows[fd]
        if events & select.EPOLLOUT:
            self._flush(written)
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self._read(read)

    def _read(self, flow: Flow) -> None:
        try:
            data = flow.source.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            flow.ended = True
            self._interest(flow.source)
        flow.held += len(data)
        due = time.monotonic_ns() + self.delay_ns
        self._count += 1
        heapq.heappush(self._due, (due, self._count, flow, data))
        if flow.held > _MOST_HELD:
            self._interest(flow.source)
        if self._due[0][1] == self._count:
            self._set_timer(due)

    def _timer_due(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._timer, 8)
        if self._cut:
            return
        while self._due and self._due[0][0] <= time.monotonic_ns():
            _at, _number, flow, data = heapq.heappop(self._due)
            if not data:
                self._end(flow)
                continue
            flow.unsent += data
            self._flush(flow)
        if self._due:
            self._set_timer(self._due[0][0])

    def _set_timer(self, at_ns: int) -> None:
        spec = _Spec(0, 0, *divmod(max(at_ns, 1), 1_000_000_000))
        self._libc.timerfd_settime(self._timer, 1, ctypes.byref(spec), None)

    def _flush(self, flow: Flow) -> None:
        if not flow.unsent or flow.sink.fileno() < 0:
            return
        try:
            sent = flow.sink.send(flow.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(flow)
            return
        was_full = flow.held > _MOST_HELD
        del flow.unsent[:sent]
        flow.held -= sent
        self._interest(flow.sink)
        if was_full and flow.held <= _MOST_HELD:
            self._interest(flow.source)

    def _interest(self, end: socket.socket) -> None:
        """Watch an end for what it can still do."""
        fd = end.fileno()
        if fd < 0:
            return
        read, written = self._flows[fd]
        events = 0
        if not read.ended and read.held <= _MOST_HELD:
            events |= select.EPOLLIN
        if written.unsent:
            events |= select.EPOLLOUT
        self._epoll.modify(fd, events)

    def _end(self, flow: Flow) -> None:
        """Pass on the end of a direction; with both ended the connection goes."""
        other = self._flows.get(flow.sink.fileno(), (None, None))[0]
        with contextlib.suppress(OSError):
            flow.sink.shutdown(socket.SHUT_WR)
        if other is None or other.ended:
            self._drop(flow)

    def _drop(self, flow: Flow) -> None:
        for end in (flow.source, flow.sink):
            fd = end.fileno()
            if fd >= 0:
                self._epoll.unregister(fd)
                del self._actions[fd], self._flows[fd]
                end.close()


def _connected(to: str) -> socket.socket:
    if "/" in to:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end.connect(to)
        return end
    host, _, port = to.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=1)


def main() -> None:
    """Run a relay from the command line."""
    parser = argparse.ArgumentParser(prog="python -m compose.link")
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--to", required=True, help="HOST:PORT or the path of a Unix socket")
    parser.add_argument("--delay-us", type=float, default=0.0)
    options = parser.parse_args()
    relay = Relay(socket.socket(fileno=options.listen_fd), options.to, options.delay_us)
    relay.watch_control(0)
    relay.run()


if __name__ == "__main__":
    main()
