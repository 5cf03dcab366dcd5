"""Load from several processes: the options, and runs end to end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from servers import eventually, free_port

from bench.errors import UserError
from bench.load.local import Load
from bench.load.workers import Crew, asked
from reports.stored.records import TrialRecord
from reports.stored.runs import COLUMNS, read

COMMAND = Path(sys.executable).with_name("sidecar-bench")
SMALL = (
    "--stack", "processes", "--blocks", "1", "--duration", "2s", "--rate", "100", "--ttl", "1",
    "--set", "schedule.warmup=0.5", "--set", "workload.keys.count=50", "--set", "schedule.attempts=1",
)  # fmt: skip
# 3: on a machine as busy as CI's no trial may be valid; what is counted is counted all the same.
ENDED = (0, 3)


def test_without_workers_there_is_one_process() -> None:
    assert asked(0, 0, None).start_load() is Load


def test_workers_are_awaited_on_loopback_unless_an_address_is_given() -> None:
    assert asked(2, 0, None) == Crew(2, 0, "127.0.0.1:0")
    assert asked(0, 3, None) == Crew(0, 3, "127.0.0.1:5557")
    assert asked(1, 3, "192.168.1.10") == Crew(1, 3, "192.168.1.10:5557")
    assert asked(0, 3, "192.168.1.10:6000") == Crew(0, 3, "192.168.1.10:6000")
    assert asked(0, 1, "[::1]:6000") == Crew(0, 1, "[::1]:6000")
    assert asked(0, 1, "[::1]") == Crew(0, 1, "[::1]:5557")


@pytest.mark.parametrize(
    "bind", ["example.com:5557", "192.168.1.10:0", "192.168.1.10:x", "", ":5557", "300.1.1.1"]
)
def test_an_address_that_is_none_is_refused(bind: str) -> None:
    with pytest.raises(UserError, match=re.escape("192.168.1.10:5557")):
        asked(0, 1, bind)


def test_an_address_without_anybody_to_await_is_refused() -> None:
    with pytest.raises(UserError, match="--expect-workers"):
        asked(2, 0, "127.0.0.1:5557")


def test_a_run_goes_on_with_the_workers_it_began_with() -> None:
    command = [
        "sidecar-bench",
        "run",
        "quick",
        "--workers",
        "2",
        "--expect-workers=1",
        "--bind",
        "10.0.0.1:99",
    ]
    assert asked(0, 0, None, command) == Crew(2, 1, "10.0.0.1:99")
    assert asked(4, 0, None, command) == Crew(4, 0, "127.0.0.1:0")
    assert asked(0, 0, None, ["sidecar-bench", "run", "quick"]) == Crew(0, 0, "127.0.0.1:0")


def test_what_helps_nobody_is_said_beforehand() -> None:
    assert list(Crew(1, 0, "127.0.0.1:0").remarks([3])) == []
    assert list(Crew(2, 0, "127.0.0.1:0").remarks([])) == []
    (said,) = Crew(2, 0, "127.0.0.1:0").remarks([3])
    assert "2 workers share 1" in said
    (said,) = Crew(0, 2, "10.0.0.1:5557").remarks([3])
    assert "sidecar-bench worker --master 10.0.0.1:5557" in said


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments], cwd=cwd, capture_output=True, text=True, timeout=110, check=False
    )


@pytest.mark.slow
@pytest.mark.long
def test_books_and_rows_of_two_workers_balance_to_the_last_request(tmp_path: Path) -> None:
    ended = run("run", "quick", *SMALL, "--workers", "2", cwd=tmp_path)
    assert ended.returncode in ENDED, ended.stderr
    (run_folder,) = (tmp_path / "results").iterdir()
    trials = read(run_folder).trials
    assert len(trials) == 2
    for trial in trials:
        record = trial.record
        rows = pd.read_parquet(trial.folder / "requests.parquet")
        assert rows["outcome"].value_counts().loc[lambda n: n > 0].to_dict() == record.app.outcomes
        assert record.load.outcomes == record.app.outcomes
        assert record.upstream.calls == record.app.upstream_calls > 0
        assert len(rows) == record.load.offered == record.load.requests > 150
        assert list(rows.columns) == [*COLUMNS, "reason", "told_by", "worker"]
        assert rows["worker"].tolist() == [number % 2 for number in range(len(rows))]
        assert rows["intended_us"].is_monotonic_increasing
        assert list(trial.rows().columns) == list(COLUMNS)


@pytest.mark.slow
@pytest.mark.long
def test_a_worker_of_another_terminal_serves_trial_after_trial(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    worker = subprocess.Popen(
        [str(COMMAND), "worker", "--master", address], cwd=tmp_path, text=True, stdout=subprocess.PIPE
    )
    try:
        ended = run("run", "quick", *SMALL, "--expect-workers", "1", "--bind", address, cwd=tmp_path)
        assert ended.returncode in ENDED, ended.stderr
        assert f"sidecar-bench worker --master {address}" in " ".join(ended.stdout.split())
        assert len(list(tmp_path.glob("results/*/trials/*/trial.json"))) == 2
        worker.send_signal(signal.SIGINT)
        said, _ = worker.communicate(timeout=20)
    finally:
        worker.kill()
        worker.communicate()
    assert worker.returncode == 130
    assert said.count("sent and delivered") == 2
    assert "Traceback" not in said


def workers_of(run_under_way: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(run_under_way.pid).children(recursive=True)
    return [child for child in children if "loadtests.worker" in child.cmdline()]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run with two workers under way."""
    process = subprocess.Popen(
        [str(COMMAND), "run", "quick", *SMALL, "--duration", "60s", "--workers", "2"],
        cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.slow
@pytest.mark.long
def test_a_worker_that_is_killed_ends_the_trial_with_a_sentence_and_leaves_nothing(
    running: subprocess.Popen[str], tmp_path: Path
) -> None:
    def sending() -> bool:
        logs = list(tmp_path.glob("results/*/trials/*/logs/load-worker-*.log"))
        return sum("requests to http" in log.read_text() for log in logs) == 2

    assert eventually(sending, 40)
    workers = workers_of(running)
    assert len(workers) == 2
    workers[0].kill()
    assert eventually(lambda: list(tmp_path.glob("results/*/trials/*/trial.json")), 40)
    (path,) = tmp_path.glob("results/*/trials/*/trial.json")
    fault = TrialRecord.model_validate_json(path.read_text()).fault
    assert fault is not None
    assert re.search(r"process \d of the workers was killed \(SIGKILL\)", fault.reason)
    assert not any(worker.is_running() for worker in workers)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in said


@pytest.mark.served
def test_a_master_that_is_not_there_is_said_after_the_patience(tmp_path: Path) -> None:
    ended = run("worker", "--master", f"127.0.0.1:{free_port()}", "--patience", "0.5", cwd=tmp_path)
    assert ended.returncode == 2
    assert "no master answered" in ended.stderr
    assert "Traceback" not in ended.stderr
