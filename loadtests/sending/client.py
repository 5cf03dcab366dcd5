"""A lean HTTP/1.1 client: one keep-alive connection, one request at a time, nothing that is not measured.

Locust's own clients cost 0.2 ms a call and more; the effect under study is that small.
"""

from __future__ import annotations

import errno
import functools
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import gevent.monkey
import gevent.socket
import gevent.ssl

# gevent has replaced the class of the standard library; the watcher needs the plain one.
_plain_socket = gevent.monkey.get_original("socket", "socket")
_HEAD_END: Final = b"\r\n\r\n"
_CHUNK: Final = 65536
_LARGEST_HEAD: Final = 1_048_576
_BODILESS: Final = (204, 304)
_STATUS_LINE: Final = re.compile(rb"http/1\.[01] ([1-9]\d\d)[ \r]")
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked[ \t]*\r")
_GONE: Final = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


# By error number, words of `scenarios.outcomes.REASONS`; descriptors, ports and memory are this machine's.
_REASONS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EMFILE: "out of file descriptors",
    errno.ENFILE: "out of file descriptors",
    errno.EADDRNOTAVAIL: "out of local ports",
    errno.ENOMEM: "out of memory",
    errno.ENOBUFS: "out of memory",
}


class TransportError(Exception):
    """No whole answer came: the connection was refused, broken, or spoke no HTTP. `reason` says which."""

    def __init__(self, message: str, reason: str = "bad response") -> None:
        super().__init__(message)
        self.reason = reason


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    return _REASONS.get(getattr(error, "errno", None) or 0, "unreachable")


@dataclass(frozen=True)
class Target:
    """Where a replica listens."""

    host: str
    port: int
    tls: bool = False

    @classmethod
    def of(cls, url: str) -> Target:
        """Read a base URL such as http://127.0.0.1:8000."""
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        return cls(parts.hostname or "127.0.0.1", parts.port or (443 if tls else 80), tls)


@functools.cache
def _context() -> Any:
    """Return how TLS is spoken: by the certificates that the machine trusts, or those of SSL_CERT_FILE."""
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connection:
    """A connection to one target, kept alive; its watcher stays registered from request to request."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._hub = gevent.get_hub()
        self._waiting: gevent.greenlet | None = None

    def connect(self) -> None:
        """Open the connection.

        Raises:
            TransportError: it is refused.
        """
        opened: Any = None
        try:
            opened = gevent.socket.socket(gevent.socket.AF_INET, gevent.socket.SOCK_STREAM)
            opened.connect((self._target.host, self._target.port))
            if self._target.tls:
                opened = _context().wrap_socket(opened, server_hostname=self._target.host)
        except (OSError, MemoryError) as error:
            if opened is not None:
                opened.close()
            raise TransportError(
                f"{self._target.host}:{self._target.port}: {error}", _reason(error)
            ) from error
        except BaseException:
            if opened is not None:
                opened.close()
            raise
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._target.tls:
            self._use(opened)
        else:
            self.adopt(opened)

    def adopt(self, connected: socket.socket) -> None:
        """Use a socket that is connected already."""
        self._use(_plain_socket(fileno=connected.detach()))

    def _use(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.setblocking(False)
        self._watcher = self._hub.loop.io(self._socket.fileno(), 1)
        self._watcher.start(self._readable)

    def close(self) -> None:
        """Close the connection; it can be opened again."""
        if self._socket is not None:
            self._watcher.stop()
            self._watcher.close()
            self._socket.close()
            self._socket = None

    def exchange(self, request: bytes) -> tuple[int, bytes, int]:
        """Send a request and return the answer's status, its head in lower case, and the length of its body.

        Raises:
            TransportError: no whole answer came; the connection is closed.
        """
        fresh = self._socket is None
        if fresh:
            self.connect()
        try:
            return self._exchange(request)
        except _StaleError:
            self.close()
            if fresh:
                raise TransportError(
                    "the server closed the connection before it answered", "closed without an answer"
                ) from None
        except ValueError as error:
            self.close()
            raise TransportError(str(error)) from error
        except (OSError, MemoryError) as error:
            self.close()
            raise TransportError(str(error), _reason(error)) from error
        except BaseException:
            self.close()
            raise
        # The server had closed the idle connection: nothing was asked yet.
        return self.exchange(request)

    def _exchange(self, request: bytes) -> tuple[int, bytes, int]:
        assert self._socket is not None
        try:
            if self._socket.send(request) != len(request):
                raise TransportError("the request did not fit the socket's buffer")
            data = self._receive()
        except _GONE:
            data = b""
        if not data:
            raise _StaleError
        status, head, rest = self._head(data)
        if status in _BODILESS or request.startswith(b"HEAD "):
            length = 0
        else:
            at = head.find(b"\r\ncontent-length:")
            if at < 0 or b"\r\ntransfer-encoding:" in head:
                length = self._body(head, rest)
            else:
                length = int(head[at + 17 : head.index(b"\r\n", at + 2)])
                self._skip(length - len(rest))
        if b"\r\nconnection: close" in head:
            self.close()
        return status, head, length

    def _head(self, data: bytes) -> tuple[int, bytes, bytes]:
        """Return the status, the head in lower case, and what has come of the body."""
        while True:
            end = data.find(_HEAD_END)
            while end < 0:
                if len(data) > _LARGEST_HEAD:
                    raise TransportError("the head of an answer does not end")
                data += self._more()
                end = data.find(_HEAD_END)
            head, rest = data[: end + 2].lower(), data[end + 4 :]
            status = _status(head)
            if status >= 200:
                return status, head, rest
            data = rest  # an interim answer (1xx): the one that was asked for follows

    def _skip(self, count: int) -> None:
        """Read so many bytes more."""
        while count > 0:
            count -= len(self._more())
        if count < 0:
            raise TransportError("the answer is longer than it says")

    def _body(self, head: bytes, body: bytes) -> int:
        """Read a body of chunks, or one that ends with the connection."""
        if not _CHUNKED.search(head):
            length = len(body)
            while part := self._receive():
                length += len(part)
            self.close()
            return length
        length = 0
        while True:
            line, mark, rest = body.partition(b"\r\n")
            if not mark:
                body += self._more()
                continue
            size = int(line.split(b";")[0], 16)
            while len(rest) < size + 2:
                rest += self._more()
            if size == 0:
                self._trailers(rest)
                return length
            length += size
            body = rest[size + 2 :]

    def _trailers(self, rest: bytes) -> None:
        """Read the fields after the last chunk, up to the empty line."""
        while not (rest.startswith(b"\r\n") or _HEAD_END in rest):
            if len(rest) > _LARGEST_HEAD:
                raise TransportError("the fields after a body do not end")
            rest += self._more()

    def _more(self) -> bytes:
        data = self._receive()
        if not data:
            raise TransportError("the connection broke during an answer", "cut short")
        return data

    def _receive(self) -> bytes:
        """Wait for bytes; none: the server has closed the connection."""
        assert self._socket is not None
        while True:
            self._waiting = gevent.getcurrent()
            try:
                self._hub.switch()
            finally:
                self._waiting = None
            try:
                return self._socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue

    def _readable(self) -> None:
        if self._waiting is not None:
            self._waiting.switch()
        elif not self._target.tls or not self._quiet():
            # Nothing was asked: the server has closed the idle connection.
            self.close()

    def _quiet(self) -> bool:
        """Take what TLS says on its own, such as version 1.3's session tickets; tell whether that was all."""
        assert self._socket is not None
        try:
            self._socket.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            pass
        return False


def _status(head: bytes) -> int:
    found = _STATUS_LINE.match(head)
    if found is None:
        raise TransportError("the answer does not begin like HTTP/1.1")
    status = int(found[1])
    if status == 101:
        raise TransportError("the server switched to a protocol that was not requested")
    return status


class _StaleError(Exception):
    """The connection was closed before the first byte of an answer."""
