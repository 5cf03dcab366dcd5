"""`events.jsonl`: what is told of a run, written so that others can follow it while it is under way."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noted import SCENARIO, NotedStack, QuietWatch, changed, new_run
from servers import eventually

from bench.errors import UserError
from bench.events.follow import Reader, Told, follow
from bench.events.journal import EVENTS, Journal
from bench.events.model import Ended, Event, Progress, Says
from bench.run import attempt, conductor
from bench.run.attempt import Bounded
from bench.store import RunFolder
from reports.errors import ResultsError
from reports.inference.stopping import Decision
from scenarios import plan


def told(run: Path, after: int = 0) -> list[Told]:
    return list(Reader(run, after).read())


def says(number: int) -> Says:
    return Says(sentence=f"sentence {number}")


def test_a_run_tells_its_trials_stages_looks_and_end_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "Watch", QuietWatch)
    run, stack, heard = new_run(tmp_path), NotedStack(), list[Event]()
    answers = iter([Decision(False, "go on", 2, ("p50",), 1), Decision(True, "decided", 3, (), None)])
    conductor.conduct(
        run,
        changed(run, blocks=2, most_blocks=3),
        stack,  # type: ignore[arg-type]
        heard.append,
        start_load=stack.start_load,  # type: ignore[arg-type]
        decide=lambda _: next(answers),
    )
    trials = [trial.id for number in (1, 2, 3) for trial in plan.block(SCENARIO, number)]
    assert [event.trial for event in heard if event.type == "trial"] == trials
    stages = [event.stage for event in heard if event.type == "stage" and event.trial == trials[0]]
    assert stages == ["deploying", "filling", "loading", "counting", "removing"]
    judged = [event for event in heard if event.type == "judged"]
    assert [event.trial for event in judged] == trials
    assert (judged[0].requests, judged[0].outcomes, judged[0].upstream_calls) == (
        10,
        {"hit": 6, "miss": 4},
        4,
    )
    looks = [(event.blocks, event.stop, event.undecided) for event in heard if event.type == "looked"]
    assert looks == [(2, False, ("p50",)), (3, True, ())]
    assert [event.sentence for event in heard if event.type == "says"] == ["go on"]
    assert heard[-1] == Ended(why="plan")


def test_events_are_read_back_as_they_were_told(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    with Journal(tmp_path, now=lambda: noon) as journal:
        for number in (1, 2, 3):
            journal(says(number))
        journal(Ended(why="plan"))
    found = told(tmp_path)
    assert [each.event for each in found] == [says(1), says(2), says(3), Ended(why="plan")]
    assert [each.seq for each in found] == [1, 2, 3, 4]
    assert {each.at for each in found} == {noon}
    assert [each.seq for each in told(tmp_path, after=2)] == [3, 4]
    assert json.loads((tmp_path / EVENTS).read_text().splitlines()[0])["type"] == "says"


@given(cut=st.integers(0, 400), first=st.integers(0, 4), second=st.integers(1, 4))
def test_a_resumed_session_numbers_on_whatever_the_earlier_one_left(
    tmp_path_factory: pytest.TempPathFactory, cut: int, first: int, second: int
) -> None:
    run = tmp_path_factory.mktemp("run")
    with Journal(run) as journal:
        for number in range(first):
            journal(says(number))
    whole = (run / EVENTS).read_bytes()
    (run / EVENTS).write_bytes(whole[:cut])
    left = whole[:cut].count(b"\n")
    assert len(told(run)) == left
    with Journal(run) as journal:
        for number in range(second):
            journal(says(100 + number))
    found = told(run)
    assert [each.seq for each in found] == list(range(1, left + second + 1))
    assert [each.event for each in found[left:]] == [says(100 + number) for number in range(second)]


def test_a_reader_at_any_moment_sees_whole_lines_only(tmp_path: Path) -> None:
    reader, seen, done = Reader(tmp_path), list[int](), threading.Event()
    long = Says(sentence="x" * 20_000)

    def write() -> None:
        with Journal(tmp_path) as journal:
            for _ in range(300):
                journal(long)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        seen += [each.seq for each in reader.read()]
    writer.join()
    seen += [each.seq for each in reader.read()]
    assert seen == list(range(1, 301))


def test_a_full_disk_is_told_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path) as journal:
        journal(says(1))
        write = os.pwrite
        room = iter([5])

        def full(fd: int, data: bytes, at: int) -> int:
            try:
                return write(fd, data[: next(room)], at)
            except StopIteration:
                raise OSError(28, "No space left on device") from None

        with monkeypatch.context() as patched:
            patched.setattr(os, "pwrite", full)
            with pytest.raises(UserError, match="the disk is full"):
                journal(says(2))
        assert (tmp_path / EVENTS).read_bytes().endswith(b"\n")
        journal(says(3))
    assert [(each.seq, each.event) for each in told(tmp_path)] == [(1, says(1)), (2, says(3))]


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal(says(1))
    with (tmp_path / EVENTS).open("a") as file:
        file.write('{"seq": 2, "at": "2026-01-31T12:00:00Z", "type": "sings"}\n')
    with pytest.raises(ResultsError, match=r"events\.jsonl, line 2: is no event"):
        told(tmp_path)


def test_the_file_is_written_through_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / EVENTS).symlink_to(victim)
    with pytest.raises(UserError, match="cannot be written"):
        Journal(tmp_path)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("every_s", [0.1, 0.5, 0.52])
def test_progress_is_told_about_once_a_second_however_often_the_generator_reports(every_s: float) -> None:
    heard: list[Any] = []
    bounded = Bounded(heard.append, plan.block(SCENARIO, 1)[0])
    for number in range(1, round(60 / every_s) + 1):
        counts = {"offered": number, "done": number, "outcomes": {"hit": number}}
        bounded.see({"event": "progress", "t_s": number * every_s} | counts)
    assert 50 <= len(heard) <= 67
    assert all(isinstance(event, Progress) for event in heard)
    gaps = [after.t_s - before.t_s for before, after in itertools.pairwise(heard)]
    assert min(gaps) > 0.85


WRITER = """
import sys
from pathlib import Path
from bench.events.journal import Journal
from bench.events.model import Ended, Says
from bench.store import RunFolder
run = Path(sys.argv[1])
with RunFolder(run).held(["sidecar-bench", "run"]), Journal(run) as journal:
    journal(Says(sentence="first"))
    print("held", flush=True)
    for line in sys.stdin:
        journal(Says(sentence=line.strip()))
    journal(Ended(why="plan"))
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


def writer(run: RunFolder) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(run.path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.served
def test_another_process_follows_a_run_to_its_end(run: RunFolder) -> None:
    process = writer(run)
    followed = follow(run.path, poll_s=0.01)
    assert next(followed).event == Says(sentence="first")
    assert process.stdin
    process.stdin.write("second\n")
    process.stdin.flush()
    assert next(followed).event == Says(sentence="second")
    process.stdin.close()
    assert [each.event for each in followed] == [Ended(why="plan")]
    assert process.wait() == 0
    assert [each.seq for each in follow(run.path, after=1)] == [2, 3], "who comes late reads what was told"


@pytest.mark.served
def test_following_ends_where_the_writer_was_killed(run: RunFolder) -> None:
    process = writer(run)
    followed = follow(run.path, poll_s=0.01)
    assert next(followed).event == Says(sentence="first")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(followed) == []


@pytest.mark.served
def test_following_keeps_nobody_from_resuming(run: RunFolder) -> None:
    """Whoever asks whether a lock is held holds it for an instant."""
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            list(follow(run.path))

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(200):
            with run.held([]):
                assert eventually(lambda: (run.path / "run.lock").exists())
    finally:
        done.set()
        for thread in asking:
            thread.join()
