"""The link: a relay that holds every chunk back for a set time, in both directions.

It stands in for the network where the kernel has no `tc netem`. Each chunk is due at its arrival plus the
delay, so that chunks under way overlap as packets do. The waiting is done by a timerfd, since the timeouts
of epoll are whole milliseconds. One process, one thread, standard library only.

`python -m compose.link.relay --listen HOST:PORT --to HOST:PORT --delay-us N`. Through its control, a line
`delay N`, `cut` or `heal` changes it, and is answered by `ok`. A cut link loses nothing: what was under
way arrives after it is healed, as TCP would see to by sending again.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import heapq
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from compose.link.addresses import host_and_port, listening_at, resolved
from compose.link.alarm import Alarm

_CHUNK: Final = 262_144
MOST_HELD: Final = 4_194_304  # bytes that one direction of a connection holds before it stops reading
_AWAKE_NS: Final = 60_000  # what waking up takes: the relay wakes so much sooner, and then stays awake


class _Flow:
    """One direction of one connection: what is held, and what could not be sent yet."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.unsent = bytearray()
        self.held = 0
        self.ended = False  # the source says no more
        self.end_due = False  # … and that has crossed the link
        self.passed_on = False  # … and the sink was told


class Relay:
    """Relays connections from a listening socket to one address."""

    def __init__(self, listener: socket.socket, to: str, delay_us: float) -> None:
        self._listener = listener
        self._to = to
        self._address: tuple[socket.AddressFamily, str | tuple[str, int]] | None = None
        self._delay_ns = int(delay_us * 1000)
        self._cut = False
        self._due: list[tuple[int, int, _Flow, bytes]] = []
        self._alarm_ns = 0
        self._count = 0
        self._epoll = select.epoll()
        self._actions: dict[int, Callable[[int, int], None]] = {}
        self._watched: dict[int, int] = {}
        self._flows: dict[int, tuple[_Flow, _Flow]] = {}
        self._controls: dict[int, socket.socket] = {}
        self._ended = False
        self._alarm = Alarm()
        self._watch(self._alarm.fd, lambda _fd, _events: self._alarm.silence())
        self._listen(listener, self._accept)

    def take_commands_from(self, control: socket.socket) -> None:
        """Take commands from a connected socket; its end is the relay's end."""
        self._add_control(control, last=True)

    def take_commands_at(self, listener: socket.socket) -> None:
        """Accept commands on a listening socket."""
        self._listen(listener, lambda _fd, _events: self._add_control(listener.accept()[0], last=False))

    def run(self) -> None:
        """Relay until the control ends."""
        poll, actions = self._epoll.poll, self._actions
        wait: float | None = None
        while not self._ended:
            for fd, events in poll(wait):
                action = actions.get(fd)
                if action is not None:
                    action(fd, events)
            wait = 0 if self._deliver() else None

    def _listen(self, listener: socket.socket, accept: Callable[[int, int], None]) -> None:
        listener.setblocking(False)
        self._watch(listener.fileno(), accept)

    def _watch(self, fd: int, action: Callable[[int, int], None]) -> None:
        self._actions[fd] = action
        self._heed(fd, select.EPOLLIN)

    def _heed(self, fd: int, events: int) -> None:
        """Watch for these events only; for none, not at all, since epoll reports hang-ups unasked for."""
        before = self._watched.get(fd, 0)
        if events == before:
            return
        if not events:
            self._epoll.unregister(fd)
        elif not before:
            self._epoll.register(fd, events)
        else:
            self._epoll.modify(fd, events)
        self._watched[fd] = events

    def _forget(self, fd: int) -> None:
        self._heed(fd, 0)
        del self._watched[fd], self._actions[fd]

    def _add_control(self, control: socket.socket, *, last: bool) -> None:
        control.setblocking(False)
        self._controls[control.fileno()] = control
        self._watch(control.fileno(), lambda fd, _events: self._commands(fd, last=last))

    def _commands(self, fd: int, *, last: bool) -> None:
        control = self._controls[fd]
        try:
            lines = control.recv(4096).decode().splitlines()
        except OSError:
            lines = []
        if not lines:
            self._ended = last
            self._forget(fd)
            self._controls.pop(fd).close()
        for line in lines:
            with contextlib.suppress(OSError):
                control.send(f"{self._command(line)}\n".encode())

    def _command(self, line: str) -> str:
        match line.split():
            case ["delay", microseconds] if microseconds.replace(".", "", 1).isdigit():
                self._delay_ns = int(float(microseconds) * 1000)
            case ["cut"]:
                self._cut = True
            case ["heal"]:
                self._cut = False
            case _:
                return "there is no such command; delay N (microseconds), cut, heal"
        return "ok"

    def _accept(self, _fd: int, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            near, _address = self._listener.accept()
            try:
                far = self._connecting()
            except OSError:
                near.close()
                return
            near.setblocking(False)
            for end in (near, far):
                if end.family == socket.AF_INET:
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            there, back = _Flow(near, far), _Flow(far, near)
            self._flows[near.fileno()] = (there, back)
            self._flows[far.fileno()] = (back, there)
            self._watch(near.fileno(), self._ready)
            self._watch(far.fileno(), self._ready)

    def _connecting(self) -> socket.socket:
        """Begin to connect: whoever does not answer must not keep the others waiting."""
        if self._address is None:
            self._address = resolved(self._to)
        family, address = self._address
        end = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        problem = end.connect_ex(address)
        if problem not in (0, errno.EINPROGRESS):
            end.close()
            raise OSError(problem, os.strerror(problem))
        return end

    def _ready(self, fd: int, events: int) -> None:
        read, written = self._flows[fd]
        if events & select.EPOLLOUT:
            self._flush(written)
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and not read.ended:
            self._read(read)

    def _read(self, flow: _Flow) -> None:
        if flow.source.fileno() < 0:
            return
        try:
            data = flow.source.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        flow.ended = not data
        flow.held += len(data)
        self._count += 1
        heapq.heappush(self._due, (time.monotonic_ns() + self._delay_ns, self._count, flow, data))
        if flow.ended or flow.held > MOST_HELD:
            self._heed_end(flow.source)

    def _deliver(self) -> bool:
        """Send what is due; tell whether more is due so soon that sleeping would overshoot."""
        due = self._due
        if self._cut:
            return False
        while due and due[0][0] <= (now := time.monotonic_ns()):
            _at, _number, flow, data = heapq.heappop(due)
            flow.unsent += data
            flow.end_due = flow.end_due or not data
            self._flush(flow)
        if not due:
            return False
        wake = due[0][0] - _AWAKE_NS
        if wake <= now:
            return True
        if wake != self._alarm_ns:
            self._alarm_ns = wake
            self._alarm.set(wake)
        return False

    def _flush(self, flow: _Flow) -> None:
        if flow.sink.fileno() < 0:
            return
        try:
            sent = flow.sink.send(flow.unsent) if flow.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(flow)
            return
        del flow.unsent[:sent]
        flow.held -= sent
        if flow.end_due and not flow.unsent and not flow.passed_on:
            self._pass_end_on(flow)
            return
        self._heed_end(flow.sink)
        self._heed_end(flow.source)

    def _heed_end(self, end: socket.socket) -> None:
        """Watch an end for what it can still do."""
        fd = end.fileno()
        read, written = self._flows[fd]
        reads = not read.ended and read.held <= MOST_HELD
        self._heed(fd, (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if written.unsent else 0))

    def _pass_end_on(self, flow: _Flow) -> None:
        """Tell the sink that no more comes; with both directions ended the connection goes."""
        flow.passed_on = True
        try:
            flow.sink.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone, or was never there
            self._drop(flow)
            return
        back, _ = self._flows[flow.sink.fileno()]
        if back.passed_on:
            self._drop(flow)
        else:
            self._heed_end(flow.sink)

    def _drop(self, flow: _Flow) -> None:
        for end in (flow.source, flow.sink):
            fd = end.fileno()
            self._forget(fd)
            del self._flows[fd]
            end.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a relay from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m compose.link.relay", description=__doc__.partition("\n")[0]
    )
    listens = parser.add_mutually_exclusive_group(required=True)
    listens.add_argument("--listen", metavar="HOST:PORT")
    listens.add_argument("--listen-fd", metavar="FD", type=int)
    parser.add_argument("--to", required=True, metavar="ADDRESS", help="HOST:PORT, or a Unix socket")
    parser.add_argument("--delay-us", type=float, default=0.0, help="in each direction")
    parser.add_argument("--control", metavar="ADDRESS", help="the socket for commands")
    parser.add_argument("--control-fd", metavar="FD", type=int, help="a socket; the relay ends with it")
    options = parser.parse_args(arguments)
    if options.listen:
        listener = socket.create_server(host_and_port(options.listen), backlog=1024)
    else:
        listener = socket.socket(fileno=options.listen_fd)
    relay = Relay(listener, options.to, options.delay_us)
    if options.control:
        relay.take_commands_at(listening_at(options.control))
    if options.control_fd is not None:
        relay.take_commands_from(socket.socket(fileno=options.control_fd))
    relay.run()


if __name__ == "__main__":
    main()
