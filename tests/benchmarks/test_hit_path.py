"""The app's hit path beside those of the libraries that one would reach for, and beside what Python can do.

Every server runs on one core, Redis and the load (wrk, closed loop) on another. All are up at once and are
asked in turn, in an order that is drawn anew for each round; figures are medians over rounds. The server's
CPU time per request stands beside them: a hypervisor that takes the core away does not change it.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil
import pytest
from generators import cores, on_core
from peers import BODY, HTTP, PEERS
from redis import Redis
from servers import eventually, free_port, get, serving

from compose.host import redis_binary
from loadtests.upstream import Stub, StubSettings

ROUNDS = int(os.environ.get("BENCHMARK_BLOCKS", "5"))
ROOT = Path(__file__).parents[2]
CEILING, OURS, SHORTCUT = "ceiling: raw ASGI + hiredis", "this app", "this app, --http app.hits:Hits"
BEHIND = ("this app, wrapped", "this app, with middleware")
LIBRARIES = ("fastapi-cache2", "cashews", "aiocache", "redis-py", "redis-py, def endpoint")
# On other servers, those of the libraries that are the fastest on uvicorn.
ON_OTHERS = (CEILING, OURS, *BEHIND, "cashews", "aiocache")
HEADING = """
| app | requests/s | CPU µs a request | p50 ms, 32 connections | p99 ms | p50 ms, 1 connection |
|---|---|---|---|---|---|"""
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(cores()[0] == cores()[1], reason="servers and load need a core each"),
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt install wrk"),
]


@dataclass(frozen=True)
class Peer:
    """One server under test."""

    url: str
    process: psutil.Process

    def load(self) -> dict[str, float]:
        """Ask it alone and by many; return its figures."""
        alone = wrk(self.url, 1, 1)
        before = self._cpu_s()
        many = wrk(self.url, 32, 3)
        cpu_us = (self._cpu_s() - before) / many["requests"] * 1e6
        return {**many, "cpu_us": cpu_us, "alone_ms": alone["p50_ms"]}

    def _cpu_s(self) -> float:
        # Some servers work in processes of their own.
        each = [one.cpu_times() for one in (self.process, *self.process.children(recursive=True))]
        return float(sum(times.user + times.system for times in each))


@contextlib.contextmanager
def running(command: list[str], **environment: str) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    try:
        yield psutil.Process(process.pid)
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def uvicorn(name: str, port: int) -> list[str]:
    """Return how a peer is served by uvicorn."""
    return [
        "-m", "uvicorn", "peers:create", "--factory", "--port", str(port), "--loop", "uvloop",
        "--http", HTTP.get(name, "httptools"), "--no-access-log", "--log-level", "warning",
        "--no-proxy-headers", "--no-server-header",
    ]  # fmt: skip


def hypercorn(_: str, port: int) -> list[str]:
    """Return how a peer is served by hypercorn."""
    return ["-m", "hypercorn", "peers:create()", "--bind", f"127.0.0.1:{port}", "-k", "uvloop"]


def granian(_: str, port: int) -> list[str]:
    """Return how a peer is served by granian."""
    return [
        "-m", "granian", "peers:create", "--factory", "--interface", "asgi", "--port", str(port),
        "--loop", "uvloop", "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip


Serve = Callable[[str, int], list[str]]
Serving = Callable[[Serve, Sequence[str]], dict[str, Peer]]


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Serving]:
    """Serve peers, each by a server of its own."""
    server_core, load_core = cores()
    port = free_port()
    redis = [str(redis_binary.find().path), "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(on_core(load_core, [*redis, "--loglevel", "warning"])))
        client = stack.enter_context(contextlib.closing(Redis(port=port)))
        assert eventually(lambda: _answers(client))
        client.set("raw:a", BODY)
        stub = stack.enter_context(serving(Stub(StubSettings(latency_ms=0, body=2048, body_spread=0))))

        def serve(server: Serve, names: Sequence[str]) -> dict[str, Peer]:
            found = {}
            for name in names:
                peer_port = free_port()
                environment = {
                    "PEER": name, "REDIS_PORT": str(port), "REDIS_HOST": "127.0.0.1", "UPSTREAM_URL": stub,
                    "CACHE_TTL": "600", "PYTHONPATH": f"{ROOT / 'tests' / 'support'}:{ROOT}",
                }  # fmt: skip
                command = on_core(server_core, [sys.executable, *server(name, peer_port)])
                process = stack.enter_context(running(command, **environment))
                found[name] = Peer(f"http://127.0.0.1:{peer_port}/content/a", process)
            for peer in found.values():
                assert eventually(lambda peer=peer: _serves(peer.url), 120), peer
            return found

        yield serve


def _answers(client: Redis) -> bool:
    with contextlib.suppress(OSError):
        return bool(client.ping())
    return False


def _serves(url: str) -> bool:
    with contextlib.suppress(OSError):
        return get(url, "/content/a").status == 200
    return False


def wrk(url: str, connections: int, duration_s: int) -> dict[str, float]:
    """Ask as fast as answers come; return requests/s, and median and p99 latency in ms."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration_s}s", "--latency", url]
    said = subprocess.run(on_core(cores()[1], command), capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said
    rate, requests = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"(\d+) requests in", said)
    assert rate is not None, said
    assert requests is not None, said
    found = {"rate": float(rate[1]), "requests": float(requests[1])}
    for share, name in (("50", "p50_ms"), ("99", "p99_ms")):
        at = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", said)
        assert at is not None, said
        found[name] = float(at[1]) * _UNITS[at[2]]
    return found


def measured(peers: dict[str, Peer], rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Return the medians of each peer's figures, over rounds in which all are asked in turn."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    order = random.Random(1)
    for peer in peers.values():
        wrk(peer.url, 32, 1)
    for _ in range(rounds):
        for name in order.sample(list(peers), len(peers)):
            found[name].append(peers[name].load())
    return {
        name: {key: median(one[key] for one in figures) for key in figures[0]}
        for name, figures in found.items()
    }


def table(of: dict[str, dict[str, float]], capsys: pytest.CaptureFixture[str]) -> None:
    """Print all figures."""
    with capsys.disabled():
        print(HEADING)
        for name, figures in of.items():
            print(
                f"| {name} | {figures['rate']:,.0f} | {figures['cpu_us']:.0f} | {figures['p50_ms']:.2f} "
                f"| {figures['p99_ms']:.2f} | {figures['alone_ms']:.3f} |"
            )


def times(of: dict[str, dict[str, float]], name: str) -> float:
    """Return a peer's throughput in those of the fastest library."""
    return of[name]["rate"] / max(of[library]["rate"] for library in LIBRARIES if library in of)


def test_hits_cost_little_more_than_python_must(peers: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    of = measured(peers(uvicorn, list(PEERS)))
    table(of, capsys)
    assert times(of, OURS) >= 3
    assert min(times(of, name) for name in BEHIND) >= 2
    assert of[OURS]["rate"] >= 0.75 * of[CEILING]["rate"]
    assert of[OURS]["alone_ms"] <= 1.2 * of[CEILING]["alone_ms"]
    assert of[OURS]["p99_ms"] <= 1.5 * of[CEILING]["p99_ms"]
    assert times(of, SHORTCUT) >= 3.5
    assert of[SHORTCUT]["rate"] >= 1.2 * of[OURS]["rate"], "or it is not worth having"


# hypercorn takes so long for a request itself that not even the ceiling is twice as fast as a library.
@pytest.mark.parametrize(
    ("server", "alone", "behind"), [(granian, 3.0, 2.0), (hypercorn, 1.2, 1.1)], ids=["granian", "hypercorn"]
)
def test_so_they_do_on_other_servers(
    peers: Serving, server: Serve, alone: float, behind: float, capsys: pytest.CaptureFixture[str]
) -> None:
    of = measured(peers(server, ON_OTHERS))
    table(of, capsys)
    assert of[OURS]["rate"] >= 0.7 * of[CEILING]["rate"]
    assert times(of, OURS) >= alone
    assert min(times(of, name) for name in BEHIND) >= behind
