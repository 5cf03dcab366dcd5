"""What the link takes shows in the latency of hits, in real containers, one beside the other."""

from __future__ import annotations

import http.client
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from engines import LACKS, needs_engine

from compose.docker.stack import DockerStack
from scenarios.model import Variant

pytestmark = [*needs_engine, pytest.mark.slow]
HITS = 400


@pytest.fixture
def stack() -> Iterator[DockerStack]:
    """Open a stack, and ask from the load generator's core."""
    assert LACKS is None, LACKS
    before = os.sched_getaffinity(0)
    with DockerStack("hop-tests") as opened:
        os.sched_setaffinity(0, opened.load_cpus or before)
        yield opened
    os.sched_setaffinity(0, before)


def asking(url: str) -> Callable[[], float]:
    """Connect to a replica; return what asks it once for what it has cached, and takes the time in ms."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask() -> float:
        began = time.perf_counter_ns()
        connection.request("GET", "/content/a")
        with closing(connection.getresponse()) as answer:
            answer.read()
        return (time.perf_counter_ns() - began) / 1e6

    return ask


def difference_ms(stack: DockerStack, near: Variant, far: Variant, folder: Path) -> tuple[float, float]:
    """Return by how much hits take longer in one variant, and by how much its achieved RTT is longer."""
    folders = [folder / name for name in ("near", "far")]
    for made in folders:
        made.mkdir(parents=True)
    with (
        stack.deploy(near, seed=1, folder=folders[0]) as one,
        stack.deploy(far, seed=1, folder=folders[1]) as other,
    ):
        asked = [asking(one.targets[0]), asking(other.targets[0])]
        took = [[ask() for ask in asked] for _ in range(HITS)][HITS // 8 :]
        rtts = [one.measure_link().achieved_ms, other.measure_link().achieved_ms]
    return statistics.median(b - a for a, b in took), rtts[1] - rtts[0]


def variant(topology: str, rtt_ms: float) -> Variant:
    return Variant(
        id=f"{topology}-{rtt_ms:g}",
        levels={},
        topology=topology,
        replicas=1,
        cache={"ttl": 600},
        link={"rtt_ms": rtt_ms},
        upstream={"latency_ms": 1, "body": 2048, "body_spread": 0},
    )


def test_hits_of_separate_take_longer_by_the_achieved_round_trip(stack: DockerStack, tmp_path: Path) -> None:
    sidecar = variant("sidecar", 0)
    longer, rtt = difference_ms(stack, sidecar, variant("separate", 1.0), tmp_path)
    print(f"hits take {longer:.3f} ms longer; the round trip does by {rtt:.3f} ms")
    assert longer == pytest.approx(rtt, rel=0.25)


def test_the_achieved_round_trips_rise_as_they_are_asked_to(stack: DockerStack, tmp_path: Path) -> None:
    achieved = []
    for rtt_ms in (0, 0.3, 1.0):
        folder = tmp_path / f"{rtt_ms:g}"
        folder.mkdir()
        with stack.deploy(variant("separate", rtt_ms), seed=1, folder=folder) as deployment:
            assert deployment.link is not None
            achieved.append(deployment.link.achieved_ms)
    assert achieved == pytest.approx([0, 0.3, 1.0], rel=0.2, abs=0.1)
