"""The servers of one embedded deployment: how each kind of process is configured and started."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compose import counts
from compose.app_environment import app_environment
from compose.host import sealed
from compose.host.children import Child, Children, free_port, joined, listening, prefer_newest, reserved
from compose.host.redis_binary import RedisBinary
from compose.link.control import LinkControl
from compose.stack import StackError
from compose.stub_log import stub_log
from scenarios.contract import OUR_APP
from scenarios.model import Variant
from traffic.logs.handing import answers_of

_READY_S: Final = 20.0
_TRIES: Final = 5
_UVICORN: Final = (
    "-m", "uvicorn", "--loop", "uvloop",
    "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "120",
    "--no-proxy-headers", "--no-server-header",
)  # fmt: skip


@dataclass(frozen=True)
class Address:
    """Where a Redis answers; `port` 0 stands for a Unix socket."""

    socket: Path | None = None
    port: int = 0

    @property
    def name(self) -> str:
        """What `app.warm --redis` calls it."""
        return str(self.socket) if self.socket else f"127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the app's variables for it."""
        return joined(
            {"REDIS_SOCKET": self.socket}
            if self.socket
            else {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": self.port}
        )


@dataclass
class RedisServer:
    """A Redis: how it is called, where it answers, and the file by which it is started, now and again."""

    name: str
    address: Address
    settings: Path
    child: Child


@dataclass
class Server:
    """A process that answers HTTP."""

    name: str
    port: int
    child: Child

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Replica:
    """A copy of the app, where it finds its cache, and the Redis that comes and goes with it, if any."""

    number: int
    app: Server
    cache: Address | None
    sidecar: RedisServer | None


class Servers:
    """Starts the servers of a variant in one folder, with one password."""

    def __init__(
        self,
        variant: Variant,
        redis: RedisBinary,
        children: Children,
        folder: Path,
        doors: Callable[[str], Sequence[Path]],
    ) -> None:
        self._variant = variant
        self._redis = redis
        self._children = children
        self._folder = folder
        self._doors = doors
        self._started = 0
        self._secrets: list[Path] = []
        self.password = self._secret("redis-password", secrets.token_urlsafe(24))

    def upstream(self, seed: int) -> Server:
        """Start the stub upstream."""
        upstream, log = self._variant.upstream, self._variant.workload.log
        environment = {
            "UPSTREAM_SEED": seed,
            "UPSTREAM_LATENCY_MS": upstream.latency_ms,
            "UPSTREAM_LATENCY_SPREAD": upstream.latency_spread,
            "UPSTREAM_BODY": upstream.body,
            "UPSTREAM_BODY_SPREAD": upstream.body_spread,
            "UPSTREAM_ERROR_RATIO": upstream.error_ratio,
            "UPSTREAM_MISSING_RATIO": upstream.missing_ratio,
            "UPSTREAM_RATE_LIMIT": upstream.rate_limit,
            **({} if log is None else stub_log(self._variant.workload, answers_of(log).absolute())),
        }
        return self._http("upstream", "loadtests.upstream:app", "httptools", joined(environment))

    def app(self, number: int, upstream_url: str, redis: Address | None, port: int = 0) -> Server:
        """Start a replica; at the port of an earlier one, where one is given, it is ready and takes all."""
        environment = self.app_environment(upstream_url, redis)
        return self._http(f"app-{number}", OUR_APP.application, OUR_APP.protocol, environment, port)

    def app_environment(self, upstream_url: str, redis: Address | None) -> dict[str, str]:
        """Return all of the app's variables."""
        environment = app_environment(self._variant, upstream_url)
        return environment | (self.redis_environment(redis) if redis else {})

    def redis_environment(self, redis: Address) -> dict[str, str]:
        """Return the app's variables for a Redis of this deployment."""
        return redis.environment() | {"REDIS_PWD_FILE": str(self.password)}

    def sidecar(self, number: int) -> RedisServer:
        """Start the Redis of one replica, with its share of the memory; it is ready on return."""
        name, share = f"redis-{number}", self._variant.cache.maxmemory // self._variant.replicas
        if self._variant.cache.sidecar_transport == "unix":
            return self._redis_server(
                name, share, Address(socket=self._folder / f"redis-{self._started + 1}.sock")
            )
        return self._on_a_free_port(name, share)

    def separate(self) -> RedisServer:
        """Start the Redis that all replicas share: behind a socket where a relay stands before it."""
        if not self._variant.relayed:
            return self._on_a_free_port("redis", self._variant.cache.maxmemory)
        address = Address(socket=self._folder / "redis.sock")
        return self._redis_server("redis", self._variant.cache.maxmemory, address)

    def link(self, to: Address) -> tuple[Address, LinkControl]:
        """Start the relay before a Redis; return where it answers, and its control."""
        listener, port = listening()
        ours, its = socket.socketpair()
        with listener, its:
            command = sealed.python(
                *("-m", "compose.link.relay", "--to", str(to.socket)),
                *("--listen-fd", str(listener.fileno()), "--control-fd", str(its.fileno())),
            )
            self._children.start("link", command, hand_down=[listener, its])
        return Address(port=port), LinkControl(ours)

    def evicted(self, redis: RedisServer) -> int | None:
        """Ask a Redis how many keys it has evicted; None where it does not answer."""
        at = redis.address
        where = {"unix_socket_path": str(at.socket)} if at.socket else {"host": "127.0.0.1", "port": at.port}
        password = self.password.read_text(encoding="utf-8")
        return counts.evicted_keys(password=password, **where)

    def restart(self, redis: RedisServer) -> None:
        """Start a Redis that has ended, where it was; it is ready on return."""
        redis.child = self._run_redis(redis.name, redis.settings)

    def await_http(self, server: Server, path: str = OUR_APP.ready) -> None:
        """Wait until a server listens and says that it is ready."""
        # An earlier server at the same port could be the one that says so.
        self._children.await_ready(
            server.child, lambda: counts.ready(server.url, path) and server.child.listens(), _READY_S
        )

    def _http(
        self, name: str, application: str, protocol: str, environment: dict[str, str], taken_port: int = 0
    ) -> Server:
        listener, port = reserved(taken_port)
        with listener:
            fd = str(listener.fileno())
            # uvicorn puts a folder before all that is installed: one of ours, instead of the current one.
            folder = ("--app-dir", str(self._folder))
            command = sealed.python(*_UVICORN, application, "--http", protocol, "--fd", fd, *folder)
            doors = self._doors(name)
            child = self._children.start(name, command, hand_down=[listener], doors=doors, **environment)
            server = Server(name, port, child)
            if taken_port:
                self.await_http(server)
                prefer_newest(listener)
        return server

    def _on_a_free_port(self, name: str, maxmemory: int) -> RedisServer:
        for left in reversed(range(_TRIES)):
            try:
                return self._redis_server(name, maxmemory, Address(port=free_port()))
            except StackError as error:
                # Somebody else may have taken the port in between; any other fault is not worth a second try.
                if left == 0 or "Address already in use" not in str(error):
                    raise
        raise AssertionError("the last try returns or raises")

    def _redis_server(self, name: str, maxmemory: int, address: Address) -> RedisServer:
        self._started += 1
        settings = {
            "port": address.port,
            "bind": "127.0.0.1",
            "save": '""',
            "appendonly": "no",
            "requirepass": self.password.read_text(encoding="utf-8"),
            "maxmemory": maxmemory,
            "maxmemory-policy": "allkeys-lru",
            "dir": f'"{self._folder}"',
            "set-proc-title": "no",  # a title overwrites the environment, and with it the mark of its owner
        }
        if address.socket:
            settings |= {"unixsocket": f'"{address.socket}"', "unixsocketperm": 700}
        # The settings go by file: a password on a command line is everybody's to read.
        path = self._secret(
            f"redis-{self._started}.conf",
            "".join(f"{key} {value}\n" for key, value in settings.items()),
        )
        return RedisServer(name, address, path, self._run_redis(name, path))

    def _run_redis(self, name: str, settings: Path) -> Child:
        command = [str(self._redis.path), str(settings)]
        child = self._children.start(name, command, doors=self._doors(name))
        self._children.await_ready(
            child, lambda: "eady to accept connections" in child.last_words(), _READY_S
        )
        return child

    def forget_secrets(self) -> None:
        """Remove the password and every file that has it; servers that run go on without."""
        for path in self._secrets:
            path.unlink(missing_ok=True)

    def _secret(self, name: str, value: str) -> Path:
        path = self._folder / name
        self._secrets.append(path)
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
        return path
