"""TLS to Redis: it is used or it is said why not, and a password is never sent in clear."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from relays import Relay
from servers import HITS, RedisServer, eventually, get, serving

from app.main import create_app
from app.settings import ConfigurationError, Settings
from app.store.tls import context_of

pytestmark = [
    pytest.mark.served,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """A CA of its own, in a folder of its own; its certificate is `ca`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.ca = folder / "ca.crt"
        self._openssl(
            "req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt",
        )  # fmt: skip

    def sign(self, name: str, *, days: int = 2, host: str = "localhost") -> tuple[Path, Path]:
        """Return a certificate and its key; negative days: it has expired."""
        crt, key, csr, more = (self._folder / f"{name}.{end}" for end in ("crt", "key", "csr", "ext"))
        self._openssl(
            "req", *_KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(csr),
        )  # fmt: skip
        more.write_text(f"subjectAltName=DNS:{host}\n")
        lasts = ["-days", str(days)]
        self._openssl(
            "x509", "-req", "-in", str(csr), "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", str(crt), *lasts, "-extfile", str(more),
        )  # fmt: skip
        return crt, key

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ca")


def server_context(crt: Path, key: Path, clients_of: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    if clients_of is not None:
        context.load_verify_locations(clients_of)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


Serve = Callable[..., str]


@pytest.fixture(params=[HITS, "httptools"])
def serve(upstream: str, redis: RedisServer, request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Serve the app with TLS to a relay before Redis."""
    with contextlib.ExitStack() as stack:

        def serve(relay: Relay, **settings: Any) -> str:
            where = {
                "redis_host": "localhost", "redis_port": stack.enter_context(relay.serving()),
                "redis_password": redis.password, "redis_tls": True,
            }  # fmt: skip
            app = create_app(Settings(upstream, **{**where, **settings}))
            return stack.enter_context(serving(app, request.param))

        yield serve


def test_redis_is_used_over_tls(serve: Serve, redis: RedisServer, authority: Authority) -> None:
    app = serve(Relay(redis.port, server_context(*authority.sign("redis"))), redis_tls_ca=str(authority.ca))
    assert "stored" in get(app, "/content/a").headers["cache-status"]
    assert "hit" in get(app, "/content/a").headers["cache-status"]


def test_a_client_certificate_is_shown(serve: Serve, redis: RedisServer, authority: Authority) -> None:
    crt, key = authority.sign("app")
    app = serve(
        Relay(redis.port, server_context(*authority.sign("redis"), authority.ca)),
        redis_tls_ca=str(authority.ca), redis_tls_cert=str(crt), redis_tls_key=str(key),
    )  # fmt: skip
    assert "stored" in get(app, "/content/a").headers["cache-status"]


def why(app: str, logged: Any) -> tuple[str, str]:
    """Return the reason that the first answer tells, and the cause that the log tells."""
    answer = get(app, "/content/a")
    assert answer.status == 200
    assert eventually(lambda: logged("redis is bypassed"))
    return answer.headers["cache-status"].rpartition("detail=")[2], logged("redis is bypassed")[0]["cause"]


def test_an_unknown_authority_is_named(
    serve: Serve, redis: RedisServer, authority: Authority, logged: Any
) -> None:
    app = serve(Relay(redis.port, server_context(*authority.sign("redis"))))
    assert why(app, logged) == (
        "redis-tls",
        "its certificate is signed by an unknown CA: set REDIS_TLS_CA to that CA",
    )


def test_a_certificate_that_has_expired_is_named(
    serve: Serve, redis: RedisServer, authority: Authority, logged: Any
) -> None:
    try:
        pair = authority.sign("expired", days=-1)
    except subprocess.CalledProcessError:
        pytest.skip("this openssl signs no certificate that has expired")
    app = serve(Relay(redis.port, server_context(*pair)), redis_tls_ca=str(authority.ca))
    assert why(app, logged) == ("redis-tls", "its certificate has expired")


def test_a_certificate_for_another_host_is_named(
    serve: Serve, redis: RedisServer, authority: Authority, logged: Any
) -> None:
    pair = authority.sign("other", host="other.example")
    app = serve(Relay(redis.port, server_context(*pair)), redis_tls_ca=str(authority.ca))
    assert why(app, logged) == ("redis-tls", "its certificate is for another host name")


def test_a_client_certificate_that_is_missing_is_named(
    serve: Serve, redis: RedisServer, authority: Authority, logged: Any
) -> None:
    relay = Relay(redis.port, server_context(*authority.sign("redis"), authority.ca))
    app = serve(relay, redis_tls_ca=str(authority.ca))
    assert why(app, logged) == (
        "redis-tls",
        "it requires a client certificate: set REDIS_TLS_CERT and REDIS_TLS_KEY",
    )


def test_a_redis_without_tls_is_named_and_hears_no_password(
    serve: Serve, redis: RedisServer, authority: Authority, logged: Any
) -> None:
    relay = Relay(redis.port)
    reason, cause = why(serve(relay, redis_tls_ca=str(authority.ca)), logged)
    # Redis reads lines: what has no line end in it waits for its end.
    assert reason in ("redis-tls", "redis-timeout")
    assert cause in (
        "it does not use TLS: check REDIS_PORT, or switch REDIS_TLS off",
        "it did not answer the TLS handshake (does it use TLS?) within 0.1 s",
    )
    assert redis.password.encode() not in b"".join(relay.heard)


def test_a_redis_that_speaks_tls_alone_is_named(
    serve: Serve, redis: RedisServer, authority: Authority, logged: Any
) -> None:
    app = serve(Relay(redis.port, server_context(*authority.sign("redis"))), redis_tls=False)
    # Some say so, by an alert, others close the connection.
    assert re.search("it uses TLS: switch REDIS_TLS on|it may require TLS", why(app, logged)[1])


def test_certificates_that_are_none_are_found_at_start(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("none")
    none, crt = str(tmp_path / "none.pem"), str(authority.sign("app")[0])
    for setting, wrong in (
        ("REDIS_TLS_CA", {"redis_tls_ca": none}),
        ("REDIS_TLS_CERT, REDIS_TLS_KEY", {"redis_tls_cert": crt, "redis_tls_key": none}),
    ):
        with pytest.raises(ConfigurationError, match=f"^{setting}: "):
            context_of(Settings("http://x", redis_host="localhost", redis_tls=True, **wrong))


def ping(port: int, redis: RedisServer, **environment: str) -> subprocess.CompletedProcess[str]:
    where = {
        "UPSTREAM_URL": "http://x", "REDIS_HOST": "localhost", "REDIS_PORT": str(port), "REDIS_TLS": "on",
        "REDIS_PWD": redis.password,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "app.ping", "--count", "5"], env={**os.environ, **where, **environment},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_ping_speaks_tls(redis: RedisServer, authority: Authority) -> None:
    crt, key = authority.sign("app")
    relay = Relay(redis.port, server_context(*authority.sign("redis"), authority.ca))
    with relay.serving() as port:
        ended = ping(
            port, redis, REDIS_TLS_CA=str(authority.ca), REDIS_TLS_CERT=str(crt), REDIS_TLS_KEY=str(key)
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert '"samples": 5' in ended.stdout


def test_ping_says_why_not_and_sends_no_password_in_clear(redis: RedisServer, authority: Authority) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"-ERR what?\r\n")
                heard.append(connection.recv(65536))

        threading.Thread(target=listen, daemon=True).start()
        ended = ping(listener.getsockname()[1], redis)
    assert ended.returncode == 1
    assert "it does not use TLS" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert heard
    assert redis.password.encode() not in b"".join(heard)
    with Relay(redis.port, server_context(*authority.sign("redis"))).serving() as port:
        assert "signed by an unknown CA" in ping(port, redis).stderr
