"""Master and workers as processes, against a server that counts for itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgpack
import pandas as pd
import pytest
import zmq

from loadtests.distributed.protocol import Hello, own_boot, own_version
from loadtests.order import Order
from scenarios.facts import LoadFacts
from scenarios.model import Keys, Workload
from traffic.keys import requests

ROOT = Path(__file__).parents[3]
WORKLOAD = Workload(rate=400, users=16, keys=Keys(count=20))

pytestmark = [pytest.mark.slow, pytest.mark.long]


class Processes:
    """Masters and workers of one test, with what they say."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def start(self, module: str, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start one; it is gone after the test."""
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._stack.callback(process.communicate)
        self._stack.callback(process.kill)
        return process

    def master(
        self, target: str, workers: int, stdin: int = subprocess.DEVNULL, **changed: Any
    ) -> tuple[subprocess.Popen[str], str]:
        """Start a master with an order; return it and its address."""
        settings = {
            "targets": (target,), "workload": WORKLOAD, "seed": 3, "warmup_s": 0.2, "duration_s": 1.0,
            "timeout_s": 5, "rows": self._folder / "rows.parquet",
        }  # fmt: skip
        path = self._folder / "order.json"
        path.write_text(Order.model_validate(settings | changed).model_dump_json())
        process = self.start("loadtests.master", str(path), "--workers", str(workers), stdin=stdin)
        return process, f"127.0.0.1:{heard(process)['port']}"

    def worker(self, address: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a worker."""
        return self.start("loadtests.worker", "--master", address, "--patience", "60", *arguments)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with contextlib.ExitStack() as stack:
        yield Processes(tmp_path, stack)


def heard(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    event: dict[str, Any] = json.loads(process.stdout.readline())
    return event


def ended(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, Any]], str]:
    """Wait for the end of a master; return its exit code, events and last words."""
    said, errors = process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in said.splitlines()], errors


class Counting:
    """Answers as the app would, and counts which paths it was asked for."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.paths: Counter[str] = Counter()

    def __call__(self, request: bytes) -> bytes:
        with self._lock:
            self.paths[request.split(b" ")[1].decode()] += 1
        return self._answer


def test_two_workers_send_what_one_would_have_sent_to_the_last_request(
    servers, processes: Processes, tmp_path: Path
) -> None:
    counting = Counting(servers.ok)
    master, address = processes.master(servers.answering(counting).url, workers=2)
    workers = [processes.worker(address) for _ in range(2)]
    code, _, errors = ended(master)
    assert (code, errors) == (0, "")
    assert [worker.wait(20) for worker in workers] == [0, 0]
    plan = requests(WORKLOAD, 1, 1.2, 3)
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    assert rows["intended_us"].tolist() == plan.at_us.tolist()
    assert rows["key"].tolist() == plan.keys.tolist()
    assert rows["worker"].tolist() == [number % 2 for number in range(len(rows))]
    assert counting.paths == Counter(f"/content/{plan.paths[key]}" for key in plan.keys.tolist())
    assert ((rows["intended_us"] <= rows["sent_us"]) & (rows["sent_us"] <= rows["end_us"])).all()


def test_an_access_log_is_replayed_once_and_not_by_each(
    servers, processes: Processes, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        "".join(
            f'::1 - - [23/Nov/2026:10:00:{number // 10:02} +0000] "GET /page/{number} HTTP/1.1" 200 9\n'
            for number in range(40)
        )
    )
    counting = Counting(servers.ok)
    replay = Workload(arrivals="log", log=log, speedup=4)
    master, address = processes.master(servers.answering(counting).url, workers=2, workload=replay)
    for _ in range(2):
        processes.worker(address)
    code, _, errors = ended(master)
    assert (code, errors) == (0, "")
    assert counting.paths == Counter(f"/content/page/{number}" for number in range(40))


def test_the_master_tells_what_one_process_tells(servers, processes: Processes, tmp_path: Path) -> None:
    master, address = processes.master(servers.answering().url, workers=2)
    for _ in range(2):
        processes.worker(address)
    _, events, _ = ended(master)
    names = [event["event"] for event in events]
    assert names == ["started", *["progress"] * (len(names) - 2), "finished"]
    progress = events[1:-1]
    assert all(event["done"] <= event["sent"] <= event["offered"] for event in progress)
    load = LoadFacts.model_validate(events[-1]["load"])
    assert load.workers == 2
    assert load.start_skew_ms is not None
    assert 0 < load.start_skew_ms < 1000
    count = requests(WORKLOAD, 1, 1.2, 3).at_us.size
    assert (load.offered, load.requests, load.outcomes) == (count, count, {"hit": count})
    assert (load.warmup_s, load.duration_s) == (0.2, pytest.approx(1.0))
    assert 1 <= load.most_users <= 16
    assert 0 < load.cpu_ratio <= 1.1
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    took_us = rows.end_us.clip(200_000, 1_200_000) - rows.sent_us.clip(200_000, 1_200_000)
    assert load.under_way == pytest.approx(took_us.sum() / 1e6, rel=0.02), "the workers' counts, added up"


def test_more_workers_than_requests_or_users_is_no_mistake(
    servers, processes: Processes, tmp_path: Path
) -> None:
    workload = Workload(rate=2, arrivals="constant", users=1)
    master, address = processes.master(servers.answering().url, workers=3, workload=workload)
    for _ in range(3):
        processes.worker(address)
    code, _, errors = ended(master)
    assert (code, errors) == (0, "")
    assert pd.read_parquet(tmp_path / "rows.parquet")["worker"].tolist() == [0, 1, 2]


def test_workers_begin_at_the_moment_that_their_master_is_told(
    servers, processes: Processes, tmp_path: Path
) -> None:
    master, address = processes.master(servers.answering().url, workers=2, stdin=subprocess.PIPE, held=True)
    for _ in range(2):
        processes.worker(address)
    assert heard(master) == {"event": "ready"}
    at_ns = time.perf_counter_ns() + 700_000_000
    assert master.stdin is not None
    master.stdin.write(f"{at_ns}\n")
    master.stdin.flush()
    assert heard(master)["origin_s"] == pytest.approx(at_ns / 1e9, abs=1e-6)
    code, events, errors = ended(master)
    assert (code, errors) == (0, "")
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    assert len(rows) == events[-1]["load"]["requests"]
    assert rows.sent_us.min() >= 0


def test_a_worker_that_is_killed_ends_the_trial_by_name(
    servers, processes: Processes, tmp_path: Path
) -> None:
    master, address = processes.master(servers.answering().url, workers=2, duration_s=60.0)
    doomed, other = (processes.worker(address) for _ in range(2))
    assert heard(master)["event"] == "started"
    doomed.kill()
    code, events, errors = ended(master)
    assert code == 3
    assert f"on {socket.gethostname()} was lost during the trial" in errors
    assert not any(event["event"] == "finished" for event in events)
    assert not (tmp_path / "rows.parquet").exists()
    assert other.wait(20) == 3
    assert "was lost" in other.communicate()[1]


def test_a_worker_that_is_asked_to_end_says_so_at_once(servers, processes: Processes) -> None:
    master, address = processes.master(servers.answering().url, workers=1, duration_s=60.0)
    leaving = processes.worker(address)
    assert heard(master)["event"] == "started"
    leaving.send_signal(signal.SIGTERM)
    assert leaving.wait(20) == 130
    code, _, errors = ended(master)
    assert code == 2
    assert "was ended by a signal" in errors


def test_workers_stop_sending_when_their_master_is_gone(servers, processes: Processes) -> None:
    master, address = processes.master(servers.answering().url, workers=1, duration_s=60.0)
    worker = processes.worker(address)
    assert heard(master)["event"] == "started"
    os.kill(master.pid, signal.SIGKILL)
    assert worker.wait(20) == 3
    assert "no message from the master" in worker.communicate()[1]


def test_a_replica_that_is_not_there_is_named(servers, processes: Processes) -> None:
    server = servers.answering()
    server.close()
    master, address = processes.master(server.url, workers=1)
    processes.worker(address)
    code, _, errors = ended(master)
    assert code == 1
    assert server.url.removeprefix("http://") in errors


def test_a_worker_refuses_a_public_target_unless_it_is_said_to_be_ours(processes: Processes) -> None:
    # TEST-NET-2 would count as private: an address that is public, and which nothing is sent to.
    master, address = processes.master("http://93.184.215.14:9", workers=1)
    worker = processes.worker(address)
    code, _, errors = ended(master)
    assert code == 2
    assert "--i-own-this-target" in errors
    assert worker.wait(20) == 2
    assert "--i-own-this-target" in worker.communicate()[1]


def test_an_access_log_that_cannot_be_used_is_the_user_s_to_mend(
    servers, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "bad.log").write_text("nothing\n")
    master, address = processes.master(
        servers.answering().url, workers=1, workload=Workload(log=tmp_path / "bad.log")
    )
    processes.worker(address)
    code, _, errors = ended(master)
    assert code == 2
    assert "bad.log" in errors
    assert len(errors.splitlines()) == 1


def test_a_port_in_use_is_said_in_a_sentence(processes: Processes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        code, _, errors = ended(
            processes.start("loadtests.master", "nowhere.json", "--bind", bind, "--workers", "1")
        )
    assert code == 2
    assert bind in errors
    assert "--bind" in errors
    assert "Traceback" not in errors


class ByHand:
    """A worker whose every word the test chooses, in Locust's own protocol."""

    def __init__(self, address: str, stack: contextlib.ExitStack, name: str = "hand_1") -> None:
        context = zmq.Context.instance()
        self._name = name
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.IDENTITY, name.encode())
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVTIMEO, 20_000)
        self._socket.connect(f"tcp://{address}")
        stack.callback(self._socket.close)
        self.say("client_ready", metadata.version("locust"))

    def say(self, kind: str, data: Any) -> None:
        self._socket.send(msgpack.dumps((kind, data, self._name)))

    def sends(self, frames: list[bytes]) -> None:
        """Send frames as they are."""
        if frames:
            self._socket.send_multipart(frames)

    def hears(self, *kinds: str) -> tuple[str, Any]:
        """Return the next message of one of these kinds."""
        while True:
            kind, data, _ = msgpack.loads(self._socket.recv(), strict_map_key=False)
            if kind in kinds:
                return kind, data


@pytest.fixture
def by_hand() -> Iterator[Callable[..., ByHand]]:
    with contextlib.ExitStack() as stack:
        yield lambda address, name="hand_1": ByHand(address, stack, name)


def hello(**changed: str) -> dict[str, str]:
    return {"version": own_version(), "host": "hand", "boot": own_boot()} | changed


MALFORMED = {
    "nothing": [b""],
    "no message at all": [],
    "not msgpack": [b"\xc1"],
    "cut off": [b"\x93\xa5hel"],
    "a number": [msgpack.dumps(7)],
    "too few": [msgpack.dumps(("hello", None))],
    "too many": [msgpack.dumps(("hello", None, "stranger", 1))],
    "a name that is a list": [msgpack.dumps(("hello", None, ["stranger"]))],
    "a kind that is a map": [msgpack.dumps(({}, None, "stranger"))],
    "another's name": [msgpack.dumps(("hello", None, "somebody_else"))],
    "a heartbeat without a state": [msgpack.dumps(("heartbeat", None, "stranger"))],
    "several parts": [b"a", b"b", b"c"],
    "too deep": [b"\x91" * 5000 + b"\xc0"],
}


@pytest.mark.parametrize("frames", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_frame_is_dropped_and_the_trial_goes_on(
    servers, processes: Processes, by_hand, frames: list[bytes]
) -> None:
    master, address = processes.master(servers.answering().url, workers=1)
    stranger = by_hand(address, "stranger")
    stranger.sends(frames)
    stranger.say("hello", None)  # the one after it is heard
    assert stranger.hears("refused", "welcome")[0] == "refused"
    processes.worker(address)
    code, events, errors = ended(master)
    assert code == 0
    load = LoadFacts.model_validate(events[-1]["load"])
    assert load.requests == load.offered > 0
    assert load.dropped == (1 if frames else 0)
    assert ("was dropped" in errors) is bool(frames)
    assert "Traceback" not in errors


def test_a_worker_of_another_version_is_refused(servers, processes: Processes, by_hand) -> None:
    _, address = processes.master(servers.answering().url, workers=1)
    old = by_hand(address)
    old.say("hello", hello(version="0.0.1, protocol 0"))
    kind, data = old.hears("refused", "welcome")
    assert kind == "refused"
    assert "0.0.1, protocol 0" in data["reason"]
    assert own_version() in data["reason"]


@pytest.mark.parametrize("said", [None, "hello", [], {}, {"version": 7}, {"version": own_version()}])
def test_who_cannot_say_who_it_is_is_refused(servers, processes: Processes, by_hand, said) -> None:
    _, address = processes.master(servers.answering().url, workers=1)
    stranger = by_hand(address)
    stranger.say("hello", said)
    assert stranger.hears("refused", "welcome")[0] == "refused"


def test_one_worker_too_many_is_refused(servers, processes: Processes, by_hand) -> None:
    _, address = processes.master(servers.answering().url, workers=1)
    first, second = (by_hand(address, f"hand_{number}") for number in range(2))
    first.say("hello", hello())
    assert first.hears("refused", "welcome")[0] == "welcome"
    second.say("hello", hello())
    kind, data = second.hears("refused", "welcome")
    assert kind == "refused"
    assert "--expect-workers" in data["reason"]
    first.say("hello", hello())  # its welcome may have been lost
    assert first.hears("refused", "welcome")[0] == "welcome"


def test_a_worker_elsewhere_is_not_sent_to_the_master_s_loopback(
    servers, processes: Processes, by_hand
) -> None:
    master, address = processes.master(servers.answering().url, workers=1)
    far = by_hand(address)
    far.say("hello", hello(host="far", boot="another machine"))
    assert "cannot be reached from far" in far.hears("end")[1]["reason"]
    assert ended(master)[0] == 2


def test_a_worker_that_laid_out_something_else_ends_the_trial(servers, processes: Processes, by_hand) -> None:
    master, address = processes.master(servers.answering().url, workers=1)
    odd = by_hand(address)
    odd.say("hello", hello())
    part = json.loads(odd.hears("part")[1]["part"])
    assert (part["worker"], part["workers"], part["seed"]) == (0, 1, 3)
    assert "rows" not in part
    odd.say("laid-out", {"plan": "0" * 32})
    assert "other requests from the same seed" in odd.hears("end")[1]["reason"]
    assert ended(master)[0] == 2


@pytest.mark.parametrize("said", [("laid-out", None), ("failed", {}), ("failed", "why"), ("laid-out", [1])])
def test_a_message_that_cannot_be_read_ends_the_trial(servers, processes: Processes, by_hand, said) -> None:
    master, address = processes.master(servers.answering().url, workers=1)
    odd = by_hand(address)
    odd.say("hello", hello())
    odd.hears("part")
    odd.say(*said)
    assert "sent a message that cannot be read" in odd.hears("end")[1]["reason"]
    code, _, errors = ended(master)
    assert code == 2
    assert "Traceback" not in errors


def test_what_a_worker_introduces_itself_with_is_what_the_master_reads() -> None:
    assert Hello.own().model_dump() == hello(host=socket.gethostname())
