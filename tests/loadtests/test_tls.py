"""The HTTP client over TLS: the same answers, from a server whose certificate is trusted."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from loadtests.sending import client
from loadtests.sending.client import Connection, Target, TransportError

ASK = b"GET /content/a HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL = b"HTTP/1.1 200 OK\r\nCache-Status: redis; hit\r\nContent-Length: 5\r\n\r\nhello"
BIG = b"HTTP/1.1 200 OK\r\nCache-Status: redis; hit\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that nobody has signed, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    pem, key = folder / "certificate.pem", folder / "key.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", str(key), "-out", str(pem),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return pem, key


class Server:
    """Answers every request alike over TLS; what it is sent of other connections it does not mind."""

    def __init__(self, certificate: tuple[Path, Path], answer: bytes, most: int = 1000) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)
        self._answer, self._most = answer, most
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
            for _ in range(self._most):
                if not connection.recv(65536):
                    return
                connection.sendall(self._answer)


@pytest.fixture
def serve(certificate: tuple[Path, Path]) -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as stack:

        def start(answer: bytes, most: int = 1000) -> Server:
            server = Server(certificate, answer, most)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    client._context.cache_clear()
    yield
    client._context.cache_clear()


def exchange(connection: Connection, request: bytes = ASK) -> tuple[int, bytes, int]:
    with gevent.Timeout(10):
        return connection.exchange(request)


def test_the_scheme_says_whether_tls_is_spoken_and_on_which_port() -> None:
    assert Target.of("https://cache.example") == Target("cache.example", 443, tls=True)
    assert Target.of("https://cache.example:8443") == Target("cache.example", 8443, tls=True)
    assert not Target.of("http://cache.example").tls


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("answer", "length"), [(SMALL, 5), (BIG, 300_000), (CHUNKED, 5)])
def test_many_requests_go_over_one_connection(serve, answer: bytes, length: int) -> None:
    server = serve(answer)
    connection = Connection(Target.of(server.url))
    for _ in range(10):
        status, _, found = exchange(connection)
        assert (status, found) == (200, length)
    assert server.connections == 1
    connection.close()


@pytest.mark.usefixtures("trusted")
def test_what_tls_says_on_its_own_does_not_end_an_idle_connection(serve) -> None:
    server = serve(SMALL)
    connection = Connection(Target.of(server.url))
    with gevent.Timeout(10):
        connection.connect()
    other = Connection(Target.of(server.url))
    exchange(other)  # meanwhile the session tickets of version 1.3 have come, unasked
    assert exchange(connection)[0] == 200
    assert server.connections == 2
    connection.close()
    other.close()


@pytest.mark.usefixtures("trusted")
def test_a_connection_closed_at_the_moment_of_asking_is_opened_anew(serve) -> None:
    server = serve(SMALL, most=1)
    connection = Connection(Target.of(server.url))
    for _ in range(3):  # at once: the close may be seen before, or after the request was sent
        assert exchange(connection)[0] == 200
    connection.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(serve) -> None:
    client._context.cache_clear()
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        exchange(Connection(Target.of(serve(SMALL).url)))


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_host_is_refused(serve) -> None:
    url = serve(SMALL).url.replace("localhost", "127.0.0.1")
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        exchange(Connection(Target.of(url)))
