"""Real servers for tests: ASGI applications on loopback sockets, and a real Redis."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from redis import Redis

from compose.host import redis_binary


def eventually(condition: Callable[[], Any], within_s: float = 10.0) -> bool:
    """Tell whether a condition comes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


HITS = "app.hits:Hits"  # as the stacks serve the app


@contextlib.contextmanager
def serving(application: Any, http: str = "auto", **options: Any) -> Iterator[str]:
    """Serve an ASGI application from a thread, by one of uvicorn's protocols; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings = {"log_level": "warning", "access_log": False, "timeout_keep_alive": 60, **options}
    server = uvicorn.Server(uvicorn.Config(application, http=http, **settings))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert eventually(lambda: server.started), "the server did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@dataclass(frozen=True)
class Answer:
    """A response, as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float


def get(url: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """Ask for a path exactly as it is spelled."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    began = time.monotonic()
    try:
        connection.putrequest(method, path, skip_accept_encoding="accept_encoding" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, content, time.monotonic() - began)
    finally:
        connection.close()


@dataclass
class RedisServer:
    """A real Redis on a loopback port, that tests may hurt."""

    folder: Path
    port: int
    password: str = "a-very-secret-password"
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            str(redis_binary.find().path), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--requirepass", self.password, "--dir", str(self.folder),
        ]  # fmt: skip
        for name, value in self.settings.items():
            command += [f"--{name}", value]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        assert eventually(lambda: self.command("PING") == "+PONG"), "Redis did not start"

    def command(self, *parts: str) -> str:
        """Send a command and return the first line of its answer; empty where none comes."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(_resp("AUTH", self.password) + _resp(*parts))
                answers = connection.makefile("rb")
                answers.readline()
                return answers.readline().decode().strip()
        except OSError:
            return ""

    def raw(self, *parts: str | bytes) -> bytes:
        """Send a command and return its answer in bytes; several are a line each."""
        with contextlib.closing(Redis(port=self.port, password=self.password, socket_timeout=2)) as client:
            answer = client.execute_command(*parts)
        found = answer if isinstance(answer, list) else [answer]
        return b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in found)

    def hang(self) -> None:
        """Stop it in its tracks: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


def _resp(*parts: str) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in encoded)


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
