"""Child processes of a deployment: started together, watched while they get ready, ended together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from compose.host import interrupts, launch, sealed
from compose.host.commands import how_it_ended
from compose.stack import Lost, StackError
from scenarios.facts import UsageFacts

_LAST_LINES: Final = 12
_TAIL_BYTES: Final = 4096
_PATIENCE_S: Final = 3.0
_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_BPF_RETURN: Final = 0x06


class Child:
    """One process, its log, and what it is called."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log
        self._used = UsageFacts(name=name)
        self._ended_by_us = self._paused_by_us = False

    def last_words(self) -> str:
        """Return the end of its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
                tail = log.read().decode("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(tail.strip().splitlines()[-_LAST_LINES:])

    def place(self, cpus: Sequence[int]) -> None:
        """Keep it, with all its threads, on these CPUs."""
        with contextlib.suppress(psutil.Error):
            for thread in self._seen().threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, cpus)

    def is_running(self) -> bool:
        """Tell whether it has not ended."""
        return self.process.poll() is None

    def lost(self) -> str | None:
        """Say how it ended, or that it stands still; None where it runs, or where we did that to it."""
        if not self.is_running():
            return None if self._ended_by_us else how_it_ended(self.process.returncode)
        with contextlib.suppress(psutil.Error):
            if not self._paused_by_us and self._seen().status() == psutil.STATUS_STOPPED:
                return "is stopped (SIGSTOP)"
        return None

    def listens(self) -> bool:
        """Tell whether it takes connections."""
        try:
            return any(seen.status == psutil.CONN_LISTEN for seen in self._seen().net_connections("inet"))
        except psutil.Error:
            return False

    def pause(self) -> None:
        """Freeze it; return when it is frozen."""
        self._paused_by_us = True
        self.process.send_signal(signal.SIGSTOP)
        with contextlib.suppress(psutil.NoSuchProcess):
            while self._seen().status() != psutil.STATUS_STOPPED:
                time.sleep(0.001)

    def resume(self) -> None:
        """Thaw it."""
        self._paused_by_us = False
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; return when it is gone. What it had used stays known."""
        self.usage()
        self._ended_by_us = True
        self.process.kill()
        self.process.wait()

    def end(self, within_s: float = _PATIENCE_S) -> None:
        """Let it end in an orderly way, or else at once; return when it is gone."""
        self.usage()
        self._ended_by_us = True
        self.process.terminate()
        self.resume()  # one that is paused could not hear it
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(within_s)
        if self.is_running():
            self.kill()

    def _seen(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def usage(self) -> UsageFacts:
        """Return the CPU time and memory that it has used; of one that has ended, what was seen last."""
        with contextlib.suppress(psutil.Error):
            times, memory = self._seen().cpu_times(), self._seen().memory_info().rss
            memory = max(memory, self._used.memory_bytes)
            self._used = UsageFacts(name=self.name, cpu_s=times.user + times.system, memory_bytes=memory)
        return self._used


class Children:
    """All processes of one deployment."""

    def __init__(self, run_id: str, logs: Path) -> None:
        self._run_id = run_id
        self._logs = logs
        self._children: list[Child] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        hand_down: Sequence[socket.socket] = (),
        doors: Sequence[Path] = (),
        **variables: str,
    ) -> Child:
        """Start a process in the cgroups of these doors; sockets that it is to serve are handed down."""
        starts = sum(child.name == name for child in self._children)
        log = self._logs / (f"{name}-{starts + 1}.log" if starts else f"{name}.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                launch.command(command, doors=doors),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=sealed.environment(self._run_id, **variables),
                cwd=sealed.CWD,
                pass_fds=[handed.fileno() for handed in hand_down],
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def await_ready(self, child: Child, ready: Callable[[], bool], within_s: float) -> None:
        """Wait until a condition holds.

        Raises:
            StackError: the process ended, or the time is over.
        """
        deadline = time.monotonic() + within_s
        while not ready():
            interrupts.check()
            if child.process.poll() is not None:
                self._children.remove(child)
                how = how_it_ended(child.process.returncode)
                raise StackError(f"{child.name} {how}", child.name, child.last_words())
            if time.monotonic() > deadline:
                why = f"{child.name} was not ready after {within_s:g} s"
                raise StackError(why, child.name, child.last_words())
            time.sleep(0.01)

    def place(self, cpus: Sequence[int]) -> None:
        """Keep all of them on these CPUs from now on; none: wherever they like."""
        for child in self._children if cpus else ():
            child.place(cpus)

    def usage(self) -> list[UsageFacts]:
        """Return what the processes of each name have used since the first of them was started."""
        used: dict[str, UsageFacts] = {}
        for child in self._children:
            now, before = child.usage(), used.get(child.name, UsageFacts(name=child.name))
            most_memory = max(now.memory_bytes, before.memory_bytes)
            used[child.name] = now.model_copy(
                update={"cpu_s": before.cpu_s + now.cpu_s, "memory_bytes": most_memory}
            )
        return list(used.values())

    def lost(self) -> tuple[Lost, ...]:
        """Return those that have ended, or stand still, though we have not asked for it."""
        each = [(child, child.lost()) for child in self._children]
        return tuple(Lost(child.name, how, child.last_words()) for child, how in each if how)

    def stop(self) -> None:
        """End all of them, gently at first; return when the last is gone."""
        for child in reversed(self._children):
            child.process.terminate()
            child.resume()
        deadline = time.monotonic() + _PATIENCE_S
        for child in self._children:
            child.end(max(deadline - time.monotonic(), 0.01))
        self._children.clear()


def reserved(port: int = 0) -> tuple[socket.socket, int]:
    """Return a socket for a server to listen on, and its loopback port, which nobody else can take meanwhile.

    It does not listen yet: that is up to the server, once it is ready. A port that is given may be in use by
    an earlier server of ours; connections go to either of them while both listen (see `prefer_newest`).
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return _prepared(listener)


def prefer_newest(listener: socket.socket) -> None:
    """Have new connections to a reserved port go to the last server that began to listen there.

    The earlier one is then left with what it holds already, so that it can end and lose nothing: the kernel
    resets connections that still wait at a listener when it is closed. `listener` listens. (socket(7),
    SO_ATTACH_REUSEPORT_CBPF: a program chooses among a port's listeners by the order in which they came.)
    """
    always_second = ctypes.create_string_buffer(struct.pack("@HBBI", _BPF_RETURN, 0, 0, 1), 8)
    program = struct.pack("@HP", 1, ctypes.addressof(always_second))
    # Where there is no second, or no such option, the kernel chooses as it does without a program.
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)


def listening() -> tuple[socket.socket, int]:
    """Return a socket that listens on a free loopback port, which nobody can take meanwhile, and the port."""
    return _prepared(socket.create_server(("127.0.0.1", 0), backlog=1024))


def _prepared(listener: socket.socket) -> tuple[socket.socket, int]:
    # Accepted connections inherit it; uvicorn takes a handed-down socket for a Unix one and leaves it off.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.set_inheritable(True)
    return listener, listener.getsockname()[1]


def free_port() -> int:
    """Return a loopback port that is free now, for programs that open their port themselves."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def joined(environment: Mapping[str, object]) -> dict[str, str]:
    """Return an environment's values as text; None is left out."""
    return {name: str(value) for name, value in environment.items() if value is not None}
