"""An upstream whose every byte a test decides."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answering = Callable[[socket.socket, str], bool | None]


def response(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """Return a response with a correct `Content-Length`."""
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def reset(connection: socket.socket) -> None:
    """Make closing a connection reset it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@dataclass
class RawUpstream:
    """Answers each request by a function of its connection and target; False from it closes the connection.

    `asked` has the targets, `connections` the connections that are open.
    """

    answer: Answering
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    made: int = 0

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on a loopback port; yields the URL."""
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)

    def say_unasked(self, said: bytes) -> None:
        """Send bytes on all open connections, whose last answers have been read."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.sendall(said)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.made += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        self.connections.append(connection)
        # What is said unasked has arrived when `sendall` returns: it waits for no confirmation.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(OSError):
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(65536)
                    if not more:
                        break
                    data += more
                else:
                    head, _, data = data.partition(b"\r\n\r\n")
                    target = head.split(b" ")[1].decode("latin-1")
                    self.heads.append(head)
                    self.asked.append(target)
                    if self.answer(connection, target) is not False:
                        continue
                break
            self.connections.remove(connection)
