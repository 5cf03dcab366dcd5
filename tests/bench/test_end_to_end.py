"""The main job on the embedded stack: real Redis, real sockets, small numbers."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import psutil
import pytest

from reports.summary.model import SCHEMA_PATH

COMMAND = Path(sys.executable).with_name("sidecar-bench")
TRACE = Path(__file__).parents[2].parent / "shared" / "traces" / "access-2015-05-a.log"
SMALL = (
    "--stack", "processes", "--blocks", "2", "--duration", "2s", "--rate", "100", "--ttl", "1",
    "--set", "schedule.warmup=0.5", "--set", "workload.keys.count=50",
)  # fmt: skip

# 3: on a machine as busy as CI's no trial may be valid; what is counted is counted all the same.
ENDED = (0, 3)

pytestmark = pytest.mark.slow


def sidecar_bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


# Children inherit it: tells the runs of these tests from any other on this machine.
MARK = f"SIDECAR_BENCH_TEST_{os.getpid()}"
ENVIRONMENT = os.environ | {MARK: "1"}


def ours() -> list[psutil.Process]:
    """Every process that a run of these tests has started, besides the command itself."""
    found = []
    for process in psutil.process_iter():
        try:
            marks = process.environ()
            if process.status() != psutil.STATUS_ZOMBIE and MARK in marks and "SIDECAR_BENCH_RUN" in marks:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def eventually(condition: Any, within_s: float) -> bool:
    """Tell whether the condition comes true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("run")
    ended = sidecar_bench("run", "quick", *SMALL, cwd=folder)
    assert ended.returncode in ENDED, ended.stderr
    (run,) = (folder / "results").iterdir()
    assert (run / "report.html").stat().st_size < 3_000_000
    assert str(Path("results") / run.name / "report.html") in ended.stdout
    read: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return read


def test_the_summary_fits_its_published_schema(summary: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA_PATH.read_text())
    jsonschema.validate(summary, schema)


def test_all_parties_agree_to_the_last_request(summary: dict[str, Any]) -> None:
    assert len(summary["trials"]) == 4
    for trial in summary["trials"]:
        assert trial["hits"] == trial["app_hits"]
        assert trial["misses"] == trial["app_misses"]
        # Whatever was no hit, and waited for nobody else's call, made one: misses, and requests that found
        # Redis too slow on a busy machine.
        assert trial["upstream_calls"] == trial["requests"] - trial["hits"] - trial["delayed"]
        assert trial["errors"] == 0
        assert trial["requests"] > 150


def test_both_topologies_meet_the_same_requests(summary: dict[str, Any]) -> None:
    requests: dict[int, set[int]] = {}
    for trial in summary["trials"]:
        requests.setdefault(trial["block"], set()).add(trial["requests"])
    assert all(len(counts) == 1 for counts in requests.values())


def test_a_shared_cache_spares_calls_that_two_sidecars_make(summary: dict[str, Any]) -> None:
    calls = dict.fromkeys(("sidecar", "separate"), 0)
    for trial in summary["trials"]:
        calls[trial["variant"]] += trial["upstream_calls"]
    assert calls["separate"] < calls["sidecar"]


def test_nothing_is_left_running_after_a_run(summary: dict[str, Any]) -> None:
    assert summary["trials"]
    assert ours() == []


@pytest.mark.skipif(
    not TRACE.is_file(), reason="the access log of ../shared/traces is not beside this checkout"
)
def test_a_real_access_log_is_replayed(tmp_path: Path) -> None:
    ended = sidecar_bench(
        "run", "access-log", "--stack", "processes", "--blocks", "1", "--duration", "3s",
        "--set", f"workload.log={TRACE}", cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode in ENDED, ended.stderr
    (path,) = tmp_path.glob("results/*/summary.json")
    trials = json.loads(path.read_text())["trials"]
    assert {trial["variant"] for trial in trials} == {"sidecar", "separate"}
    assert all(
        trial["upstream_calls"] == trial["requests"] - trial["hits"] - trial["delayed"] for trial in trials
    )
    assert all(trial["hits"] > 0 for trial in trials)
    assert all(trial["errors"] == 0 for trial in trials)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for a run's temporary files, and none but its own; short, for the sake of sockets' paths."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


@pytest.fixture
def running(tmp_path: Path, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A run under way, its load on."""
    process = subprocess.Popen(
        [str(COMMAND), "run", "quick", *SMALL, "--duration", "60s"],
        cwd=tmp_path, env=ENVIRONMENT | {"TMPDIR": str(temporary)}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert eventually(
        lambda: "-m loadtests" in " ".join(str(p.cmdline()) for p in ours()).replace("', '", " "), 30
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGINT,), (signal.SIGTERM,), (signal.SIGHUP,),
        (signal.SIGINT, signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    ],
    ids=lambda numbers: "+".join(number.name for number in numbers),
)  # fmt: skip
def test_an_interrupted_run_leaves_nothing_and_says_how_to_go_on(
    running: subprocess.Popen[str], temporary: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    for number in numbers:
        running.send_signal(number)
        eventually(lambda: running.poll() is not None, 0.15)
    _, said = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert eventually(lambda: not ours(), 5)
    assert list(temporary.iterdir()) == []


def test_a_killed_run_leaves_nothing_once_cleaned(
    running: subprocess.Popen[str], temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(temporary))
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    cleaned = sidecar_bench("clean", cwd=tmp_path)
    assert cleaned.returncode == 0, cleaned.stderr
    assert f"removed folder {temporary}" in cleaned.stdout
    assert eventually(lambda: not ours(), 5)
    again = sidecar_bench("clean", cwd=tmp_path)
    assert str(temporary) not in again.stdout
    assert list(temporary.iterdir()) == []


def test_an_interrupt_while_deploying_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [str(COMMAND), "run", "quick", *SMALL],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert eventually(lambda: len(ours()) >= 1, 20)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert eventually(lambda: not ours(), 5)


@pytest.mark.long
def test_a_run_goes_on_where_it_was_interrupted(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=20)
    (run,) = (tmp_path / "results").iterdir()
    record = json.loads((run / "run.json").read_text())
    record["scenario"]["schedule"]["duration"] = 1.0
    (run / "run.json").write_text(json.dumps(record))
    ended = sidecar_bench("run", "--resume", "last", cwd=tmp_path)
    assert ended.returncode in ENDED, ended.stderr
    assert len(list(run.glob("trials/*/trial.json"))) == 4


def judged(folder: Path, *thresholds: str, blocks: int) -> tuple[int, dict[str, Any], str, ET.Element]:
    """Run one variant under thresholds: its exit code, its summary, the Markdown and the JUnit XML."""
    ended = sidecar_bench(
        "run", "quick", *SMALL, "--blocks", str(blocks), "--duration", "1s", "--topology", "sidecar",
        "--replicas", "1", "--set", "schedule.attempts=3", "--set", f"thresholds=[{', '.join(thresholds)}]",
        "--markdown", "found.md", "--junit", "found.xml", cwd=folder,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr
    (path,) = folder.glob("results/*/summary.json")
    summary = json.loads(path.read_text())
    return (
        ended.returncode,
        summary,
        (folder / "found.md").read_text(),
        ET.parse(folder / "found.xml").getroot(),
    )


def case_of(junit: ET.Element, name: str) -> ET.Element:
    (case,) = junit.findall(f"testsuite/testcase[@name='{name}']")
    return case


@pytest.mark.long
def test_a_broken_threshold_is_exit_code_1_and_a_failure_for_ci(tmp_path: Path) -> None:
    code, summary, markdown, junit = judged(
        tmp_path, "p50_ms <= 0.001", "upstream_calls_per_1000 <= 1000", blocks=3
    )
    if summary["variants"][0]["valid_trials"] < 3:
        pytest.skip("too busy a machine: fewer than three valid trials break nothing")
    assert code == 1
    assert {found["text"]: found["outcome"] for found in summary["thresholds"]} == {
        "p50_ms <= 0.001": "fail",
        "upstream_calls_per_1000 <= 1000": "pass",
    }
    assert "| `p50_ms <= 0.001` | sidecar | ❌ violated |" in markdown
    assert "| `upstream_calls_per_1000 <= 1000` | sidecar | ✅ met |" in markdown
    assert case_of(junit, "p50_ms <= 0.001").find("failure") is not None
    assert len(case_of(junit, "upstream_calls_per_1000 <= 1000")) == 0, "a test case that passed is empty"
    assert [suite.get("failures") for suite in junit] == ["1", "0"]


@pytest.mark.long
def test_a_threshold_that_two_blocks_cannot_judge_is_exit_code_3(tmp_path: Path) -> None:
    code, summary, markdown, junit = judged(tmp_path, "p50_ms <= 0.001", blocks=2)
    assert code == 3
    assert [found["outcome"] for found in summary["thresholds"]] == ["undecided"]
    measured = summary["variants"][0]["valid_trials"] > 0
    far = " (about " if measured else " |"  # how many more blocks would decide, where that can be told
    assert f"| `p50_ms <= 0.001` | sidecar | ❔ undecided{far}" in markdown
    assert case_of(junit, "p50_ms <= 0.001").find("skipped") is not None
