"""`python -m loadtests` and Locust's own command, as processes."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pandas as pd
import pytest

from loadtests.order import Order
from scenarios.facts import LoadFacts
from scenarios.model import Keys, Workload

pytestmark = pytest.mark.served

ROOT = Path(__file__).parents[3]


@pytest.fixture
def order(tmp_path):
    def write(*targets: str, workload: Workload | None = None, **changed) -> Path:
        settings = {
            "targets": targets,
            "workload": workload or Workload(rate=100, arrivals="constant", users=16, keys=Keys(count=20)),
            "seed": 3,
            "warmup_s": 0.2,
            "duration_s": 1.0,
            "timeout_s": 5,
            "rows": tmp_path / "rows.parquet",
        }
        path = tmp_path / "order.json"
        path.write_text(Order.model_validate(settings | changed).model_dump_json())
        return path

    return write


@contextlib.contextmanager
def generator(argument: object, **options):
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtests", str(argument)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_trial_is_told_in_lines_of_json_and_stored(servers, order, tmp_path) -> None:
    targets = [servers.answering().url, servers.answering().url]
    with generator(order(*targets)) as process:
        said, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    events = [json.loads(line) for line in said.splitlines()]
    assert [event["event"] for event in events] == [
        "started", *["progress"] * (len(events) - 2), "finished",
    ]  # fmt: skip
    progress = events[1:-1]
    assert len(progress) >= 2
    assert all(event["done"] <= event["sent"] <= event["offered"] <= 120 for event in progress)
    assert [event["t_s"] for event in progress] == sorted(event["t_s"] for event in progress)
    load = LoadFacts.model_validate(events[-1]["load"])
    assert (load.offered, load.requests, load.outcomes) == (120, 120, {"hit": 120})
    assert (load.warmup_s, load.duration_s) == (0.2, pytest.approx(1.0))
    assert 1 <= load.most_users <= 16
    assert 0 < load.cpu_ratio < 1
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    took_us = rows.end_us.clip(200_000, 1_200_000) - rows.sent_us.clip(200_000, 1_200_000)
    assert load.under_way == pytest.approx(took_us.sum() / 1e6, rel=0.02)
    assert rows.intended_us.tolist() == list(range(0, 1_200_000, 10_000))
    assert set(rows.replica) == {0, 1}


def test_a_held_order_begins_at_the_moment_that_it_is_told(servers, order, tmp_path) -> None:
    server = servers.answering()
    with generator("-", stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{order(server.url, duration_s=0.5, held=True)}\n\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == {"event": "ready"}
        at_ns = time.perf_counter_ns() + 400_000_000
        process.stdin.write(f"{at_ns}\n")
        process.stdin.flush()
        started = json.loads(process.stdout.readline())
        assert started == {"event": "started", "origin_s": at_ns / 1e9}
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    assert rows.sent_us.min() >= 0
    assert len(rows) == 70


def test_a_held_order_is_dropped_where_whoever_gave_it_is_gone(servers, order) -> None:
    with generator("-", stdin=subprocess.PIPE) as process:
        said, _ = process.communicate(f"{order(servers.answering().url, held=True)}\n\n", timeout=30)
    assert process.returncode == 130
    assert json.loads(said.splitlines()[-1]) == {"event": "ready"}


def test_the_order_can_be_named_later_on_standard_input(servers, order) -> None:
    with generator("-", stdin=subprocess.PIPE) as process:
        said, _ = process.communicate(f"{order(servers.answering().url, duration_s=0.1)}\n", timeout=30)
    assert process.returncode == 0
    assert json.loads(said.splitlines()[-1])["load"]["requests"] == 30


def test_a_log_that_cannot_be_used_is_the_user_s_to_mend(servers, order, tmp_path) -> None:
    (tmp_path / "bad.log").write_text("nothing\n")
    bad = Workload(log=tmp_path / "bad.log")
    with generator(order(servers.answering().url, workload=bad)) as process:
        said, errors = process.communicate(timeout=30)
    assert (process.returncode, said) == (2, "")
    assert "bad.log" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_the_middle_of_a_trial(servers, order, number) -> None:
    with generator(order(servers.answering().url, duration_s=60)) as process:
        assert json.loads(process.stdout.readline())["event"] == "started"
        assert json.loads(process.stdout.readline())["event"] == "progress"
        process.send_signal(number)
        assert process.wait(5) == 130
        assert "Traceback" not in process.stderr.read()


def test_a_signal_ends_it_while_it_waits_for_its_order() -> None:
    with generator("-", stdin=subprocess.PIPE) as process:
        deadline_s = time.monotonic() + 20
        while not _catches(process.pid, signal.SIGTERM):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        process.terminate()
        assert process.wait(5) == 130


def _catches(pid: int, number: int) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def test_a_replica_that_is_not_there_is_named(servers, order) -> None:
    server = servers.answering()
    server.close()
    with generator(order(server.url)) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert server.url.removeprefix("http://") in errors


@contextlib.contextmanager
def locust(*arguments: str):
    process = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_locust_runs_the_same_load_by_hand(servers, tmp_path) -> None:
    rows = tmp_path / "rows.parquet"
    options = f"--headless --run-time 1s --rate 200 --keys 30 --rows {rows} --users 20 --json"
    with locust("--host", servers.answering().url, *options.split()) as process:
        said, _ = process.communicate(timeout=40)
    assert process.returncode == 0, said
    stored = pd.read_parquet(rows)
    assert (stored.outcome == "hit").all()
    assert stored.key.max() < 30
    assert 100 < len(stored) <= 400
    assert f'"num_requests": {len(stored)},' in said
    assert "/content (hit)" in said


def test_locust_s_page_shows_the_load(servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = f"http://127.0.0.1:{port}"
    options = f"--host {servers.answering().url} --web-host 127.0.0.1 --web-port {port} --rate 200"
    with locust(*options.split()) as process:
        next(line for line in process.stdout if page in line)
        deadline_s = time.monotonic() + 20
        start = urllib.parse.urlencode({"user_count": 8, "spawn_rate": 8, "rate": 100, "seconds": 2}).encode()
        for url, form in ((page, None), (f"{page}/swarm", start)):
            while True:
                with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url, form) as answer:
                    assert answer.status == 200
                    break
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        while True:
            with urllib.request.urlopen(f"{page}/stats/requests") as answer:
                rows = {row["name"]: row for row in json.load(answer)["stats"]}
            if rows.get("/content (hit)", {}).get("num_requests", 0) >= 100:
                break
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def test_arguments_that_do_not_go_together_are_refused_in_a_sentence() -> None:
    with locust("--headless", "--arrivals", "log") as process:
        said, _ = process.communicate(timeout=40)
    assert process.returncode == 1
    assert "needs an access log" in said
    assert "Traceback" not in said
