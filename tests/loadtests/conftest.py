"""Servers of which a test says byte by byte what they answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest


class Peer:
    """The server's side of one connection."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self._connection = connection
        self.number = number
        self.send = connection.sendall

    def request(self) -> bytes:
        """Return the next request; nothing once the client has closed."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            part = self._connection.recv(65536)
            if not part:
                return b""
            data += part
        return data


Script = Callable[[Peer], None]


class Server:
    """Runs a script for each connection, in a thread of its own."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len(self._open)

    def close(self) -> None:
        """Stop listening, and break every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(connection, len(self._open))
            self._open.append(connection)
            threading.Thread(target=self._run, args=(connection, peer), daemon=True).start()

    def _run(self, connection: socket.socket, peer: Peer) -> None:
        with connection, contextlib.suppress(OSError):
            self._script(peer)


class Servers:
    """Starts servers that are gone after the test."""

    ok = b"HTTP/1.1 200 OK\r\nCache-Status: redis; hit; ttl=4\r\nContent-Length: 5\r\n\r\nhello"

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def scripted(self, script: Script) -> Server:
        """Start one that runs this script for each connection."""
        server = Server(script)
        self._stack.callback(server.close)
        return server

    def answering(self, answer: bytes | Callable[[bytes], bytes] = ok) -> Server:
        """Start one that answers all requests in the same way, as long as the client likes."""

        def script(peer: Peer) -> None:
            while request := peer.request():
                peer.send(answer if isinstance(answer, bytes) else answer(request))

        return self.scripted(script)


@pytest.fixture
def servers() -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        yield Servers(stack)
