"""A run by command, seen by other processes: followed, not cleaned away, refused a neighbour, and resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import eventually

from bench.events.follow import Told, follow, is_live
from bench.session import measuring

COMMAND = Path(sys.executable).with_name("sidecar-bench")
SMALL = ("--stack", "processes", "--topology", "sidecar,none", "--replicas", "1", "--blocks", "2",
         "--duration", "1500ms", "--rate", "40", "--set", "schedule.attempts=1")  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.served, pytest.mark.timeout(400)]


def command(*arguments: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *arguments], env=os.environ | {"TMPDIR": str(temporary)}, cwd=temporary,
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.fixture
def under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run that has begun, and its folder."""
    monkeypatch.setenv(measuring.TESTS, str(tmp_path / "machine.lock"))
    results = tmp_path / "results"
    process = subprocess.Popen(
        [str(COMMAND), "run", "quick", *SMALL, "--results", str(results)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert eventually(lambda: list(results.glob("*/run.json")), 60)
        [run] = results.iterdir()
        yield process, run
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def until(followed: Iterator[Told], kind: str) -> list[Told]:
    """Return what is told up to the first event of a kind."""
    told = []
    for each in followed:
        told.append(each)
        if each.event.type == kind:
            return told
    pytest.fail(f"the run told of no {kind}: {told}")


def test_a_run_is_followed_left_alone_refuses_another_and_is_resumed(
    under_way: tuple[subprocess.Popen[str], Path], tmp_path: Path
) -> None:
    process, run = under_way
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    followed = follow(run, poll_s=0.05)
    first = until(followed, "progress")
    assert first[0].event.type == "begins"

    cleaned = command("clean", temporary=elsewhere)
    assert cleaned.returncode == 0
    assert "removed" not in cleaned.stdout, "others of this test's runs end in order"
    second = command("run", "quick", *SMALL, temporary=elsewhere)
    assert second.returncode == 2
    assert f"process {process.pid} on " in second.stderr
    assert str(run) in second.stderr, "which run it is"
    assert not (elsewhere / "results").exists()
    told = first + until(followed, "judged")
    assert process.poll() is None
    assert told[-1].event.type == "judged"
    assert not [each for each in told if each.event.type == "ended"]

    process.send_signal(signal.SIGINT)
    told += list(followed)
    assert told[-1].event.type == "ended"
    assert told[-1].event.why == "interrupted"
    assert not is_live(run)

    resumed = command("run", "--resume", str(run), temporary=elsewhere)
    assert resumed.returncode in (0, 3), resumed.stderr
    later = list(follow(run, after=told[-1].seq))
    assert later[0].event.type == "begins"
    assert later[0].event.stored >= 1
    assert (later[-1].event.type, getattr(later[-1].event, "why", "")) == ("ended", "plan")
    assert [each.seq for each in told + later] == list(range(1, later[-1].seq + 1))
    judged = [each.event.trial for each in told + later if each.event.type == "judged"]
    assert sorted(judged) == sorted(set(judged)), "no trial twice"
    assert set(judged) == set(later[0].event.trials)
