"""The relay: a wire with a delay. Order and bytes are kept, chunks overlap, nothing is lost."""

import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compose.host import launch
from compose.link.control import LinkControl
from compose.link.relay import MOST_HELD
from compose.stack import StackError

SLACK_S = 0.005  # what a busy machine may add


class Wire:
    """A relay in a process of its own, between this test and a server of this test."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        ours, its = socket.socketpair()
        command = [
            *(
                sys.executable,
                "-m",
                "compose.link.relay",
                "--to",
                f"127.0.0.1:{self.server.getsockname()[1]}",
            ),
            *("--listen-fd", str(listener.fileno()), "--control-fd", str(its.fileno())),
        ]
        handed = (listener.fileno(), its.fileno())
        self.process = subprocess.Popen(launch.command(command), pass_fds=handed)
        for socket_ in (listener, its):
            socket_.close()
        self.control = LinkControl(ours)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a connection through the relay."""
        near = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        far, _ = self.server.accept()
        far.settimeout(10)
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return near, far

    def close(self) -> None:
        self.control.close()
        assert self.process.wait(5) == 0, "it ends with its control"
        self.server.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture
def wire(shared: Wire) -> Wire:
    """Give each test the relay as it is at first: healed, and without delay."""
    shared.control.heal()
    shared.control.delay(0)
    return shared


@pytest.fixture
def ends(wire: Wire) -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = wire.connect()
    with near, far:
        yield near, far


def read(end: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = end.recv(min(size - len(data), 65536))
        assert chunk, "the connection ended too early"
        data += chunk
    return bytes(data)


def read_all(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(65536), b""))


def in_background(*target: object) -> threading.Thread:
    function, *arguments = target
    thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 300_000), min_size=1, max_size=12),
    delay_us=st.sampled_from([0, 50, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_bytes_arrive_as_they_were_sent_both_ways(
    wire: Wire, sizes: list[int], delay_us: int, seed: int
) -> None:
    wire.control.delay(delay_us)
    chunks = [random.Random(seed + number).randbytes(size) for number, size in enumerate(sizes)]
    with ExitStack() as stack:
        near, far = (stack.enter_context(end) for end in wire.connect())

        def send(end: socket.socket, what: list[bytes]) -> None:
            for chunk in what:
                end.sendall(chunk)
            end.shutdown(socket.SHUT_WR)

        senders = [in_background(send, near, chunks), in_background(send, far, chunks[::-1])]
        answered: list[bytes] = []
        back = in_background(lambda: answered.append(read_all(near)))
        assert read_all(far) == b"".join(chunks)
        for thread in (*senders, back):
            thread.join()
        assert answered == [b"".join(chunks[::-1])]


@pytest.mark.parametrize("delay_ms", [0, 2, 10])
def test_the_delay_is_kept_in_each_direction(
    wire: Wire, ends: tuple[socket.socket, socket.socket], delay_ms: int
) -> None:
    near, far = ends
    wire.control.delay(delay_ms * 1000)
    took = []
    for source, sink in ((near, far), (far, near)) * 20:
        began = time.monotonic()
        source.sendall(b"x")
        read(sink, 1)
        took.append(time.monotonic() - began)
    assert min(took) >= delay_ms / 1000, "no chunk comes early"
    assert statistics.median(took) < delay_ms / 1000 + SLACK_S


def test_chunks_under_way_overlap(wire: Wire, ends: tuple[socket.socket, socket.socket]) -> None:
    near, far = ends
    wire.control.delay(100_000)
    began = time.monotonic()
    for number in range(20):
        near.sendall(bytes([number]))
        time.sleep(0.002)  # each is a chunk of its own
    assert read(far, 20) == bytes(range(20))
    assert 0.1 <= time.monotonic() - began < 0.5, "20 chunks one after the other would take two seconds"


def test_a_change_holds_for_what_comes_after_it(
    wire: Wire, ends: tuple[socket.socket, socket.socket]
) -> None:
    near, far = ends
    wire.control.delay(50_000)
    began = time.monotonic()
    near.sendall(b"slow")
    assert read(far, 4) == b"slow"
    assert time.monotonic() - began >= 0.05
    wire.control.delay(0)
    began = time.monotonic()
    near.sendall(b"fast")
    assert read(far, 4) == b"fast"
    assert time.monotonic() - began < 0.05


def test_an_answer_still_comes_after_the_question_has_ended(
    wire: Wire, ends: tuple[socket.socket, socket.socket]
) -> None:
    near, far = ends
    wire.control.delay(20_000)
    near.sendall(b"question")
    near.shutdown(socket.SHUT_WR)
    assert read_all(far) == b"question"
    far.sendall(b"answer")
    far.close()
    assert read_all(near) == b"answer"


def test_an_end_does_not_overtake_the_bytes_before_it(
    wire: Wire, ends: tuple[socket.socket, socket.socket]
) -> None:
    near, far = ends
    wire.control.delay(20_000)
    sent = random.Random(1).randbytes(3_000_000)
    sender = in_background(lambda: (near.sendall(sent), near.close()))
    assert read_all(far) == sent
    sender.join()


def test_a_reader_that_is_slow_holds_the_writer_back(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    near.setblocking(False)
    sent, still_since = 0, time.monotonic()
    while time.monotonic() - still_since < 0.3:
        try:
            sent += near.send(bytes(262_144))
            still_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        assert sent < MOST_HELD + 64_000_000, "it takes what nobody reads"
    near.setblocking(True)
    near.shutdown(socket.SHUT_WR)
    assert len(read_all(far)) == sent


def test_while_cut_nothing_passes_and_after_healing_nothing_is_missing(
    wire: Wire, ends: tuple[socket.socket, socket.socket]
) -> None:
    near, far = ends
    wire.control.cut()
    near.sendall(b"early")
    far.settimeout(0.1)
    with pytest.raises(TimeoutError):
        far.recv(1)
    near.sendall(b" late")
    wire.control.heal()
    far.settimeout(10)
    assert read(far, 10) == b"early late"


def test_a_cut_link_rests(wire: Wire, ends: tuple[socket.socket, socket.socket]) -> None:
    """Ends that hung up in front of a cut must not keep the relay busy."""
    near, _ = ends
    wire.control.cut()
    near.sendall(b"last words")
    for end in ends:
        end.close()

    def cpu_s() -> float:
        spent = psutil.Process(wire.process.pid).cpu_times()
        return spent.user + spent.system

    before = cpu_s()
    time.sleep(0.3)
    assert cpu_s() - before < 0.1
    wire.control.heal()


def test_a_connection_that_nobody_takes_is_closed(wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as gone:
            nobody = gone.getsockname()[1]
        command = [sys.executable, "-m", "compose.link.relay", "--listen-fd", str(listener.fileno())]
        relay = subprocess.Popen(
            launch.command([*command, "--to", f"127.0.0.1:{nobody}"]), pass_fds=[listener.fileno()]
        )
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
                assert near.recv(1) == b""
        finally:
            relay.kill()
            relay.wait()


def test_commands_are_taken_over_the_network_too() -> None:
    """As a container, the relay has no parent to hand a socket down."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        listen, control = (f"127.0.0.1:{server.getsockname()[1]}" for server in (one, two))
    command = [
        sys.executable,
        "-m",
        "compose.link.relay",
        "--listen",
        listen,
        "--control",
        control,
        "--to",
        listen,
    ]
    relay = subprocess.Popen(launch.command(command))
    try:
        host, _, port = control.rpartition(":")
        deadline = time.monotonic() + 10
        while True:
            try:
                connection = socket.create_connection((host, int(port)), timeout=5)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        told = LinkControl(connection)
        told.delay(100)
        told.close()
        assert relay.poll() is None, "it stays when who commanded it hangs up"
    finally:
        relay.kill()
        relay.wait()


def test_what_is_no_command_is_refused(wire: Wire) -> None:
    with pytest.raises(StackError, match="there is no such command"):
        wire.control._say("delay -5")


def test_a_relay_that_is_gone_is_noticed() -> None:
    wire = Wire()
    wire.process.kill()
    wire.process.wait()
    with pytest.raises(StackError, match="the link does not accept the command `cut`"):
        wire.control.cut()
    wire.server.close()
