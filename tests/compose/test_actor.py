"""Who does something to a deployment under load, and what is noted of it."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from compose.actor import Actor
from compose.faults import Faults
from compose.host import launch
from compose.stack import StackError
from scenarios.timeline import Action, Verb


class Noted:
    """Takes notes of what is done; kills of number 9 fail."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, float]] = []

    def kill_redis(self, number: int = 1) -> None:
        if number == 9:
            raise StackError("there is no Redis 9 in this topology")
        self.notes.append((f"kill {number}", time.perf_counter()))

    def roll(self) -> None:
        time.sleep(0.2)  # what it takes
        self.notes.append(("roll", time.perf_counter()))


def faults(of: Any) -> Faults:
    return cast("Faults", of)


def test_there_is_a_verb_for_everything_that_can_be_done() -> None:
    methods = {name for name, _ in inspect.getmembers(Faults, inspect.isfunction) if not name.startswith("_")}
    assert set(get_args(Verb)) == methods


def test_each_is_done_at_its_time_and_waits_for_the_one_before_it() -> None:
    noted, origin_s = Noted(), time.perf_counter() + 0.1
    actions = [Action(at_s=0.15, do="kill_redis"), Action(at_s=0.05, do="roll")]
    with Actor() as actor:
        actor.begin(faults(noted), actions, origin_s)
        while len(noted.notes) < 2:
            time.sleep(0.01)
        rolled, killed = actor.finished()
    assert [name for name, _ in noted.notes] == ["roll", "kill 1"]
    assert (rolled.do, rolled.asked_us, killed.do, killed.asked_us) == ("roll", 50_000, "kill_redis", 150_000)
    assert 50_000 <= rolled.begun_us < 150_000
    assert rolled.done_us is not None
    assert killed.done_us is not None
    assert rolled.done_us - rolled.begun_us >= 200_000
    assert killed.begun_us >= rolled.done_us > killed.asked_us
    assert abs(rolled.done_us / 1e6 - (noted.notes[0][1] - origin_s)) < 0.05


def test_what_cannot_be_done_is_noted_with_its_reason_and_the_next_one_follows() -> None:
    noted = Noted()
    with Actor() as actor:
        actions = [Action(at_s=0, do="kill_redis", number=9), Action(at_s=0, do="heal_link")]
        actor.begin(faults(noted), [*actions, Action(at_s=0, do="kill_redis")], time.perf_counter())
        while not noted.notes:
            time.sleep(0.01)
        failed, unknown, killed = actor.finished()
    assert (failed.done_us, failed.reason) == (None, "there is no Redis 9 in this topology")
    assert "heal_link" in unknown.reason
    assert killed.done_us is not None


def test_what_is_not_due_when_the_load_ends_is_left_out() -> None:
    began_s = time.monotonic()
    with Actor() as actor:
        actor.begin(faults(Noted()), [Action(at_s=3600, do="roll")], time.perf_counter())
        assert actor.finished() == []
    assert time.monotonic() - began_s < 10


class Starts:
    """Starts a child that dies with the thread that started it, as children of a deployment do."""

    def __init__(self) -> None:
        self.started = threading.Event()

    def roll(self) -> None:
        command = launch.command([sys.executable, "-c", "print('up', flush=True); input()"])
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.child.stdout
        assert self.child.stdout.readline() == b"up\n"
        self.started.set()


@pytest.mark.served
def test_what_it_starts_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    starts = Starts()
    with Actor() as actor:
        order = (faults(starts), [Action(at_s=0, do="roll")], time.perf_counter())
        asking = threading.Thread(target=actor.begin, args=order)
        asking.start()
        asking.join()
        assert starts.started.wait(30)
        assert [done.do for done in actor.finished()] == ["roll"]
        with pytest.raises(subprocess.TimeoutExpired):
            starts.child.wait(0.5)
    assert starts.child.wait(30) == -9, "with the actor's thread the kernel ends it"
    for pipe in (starts.child.stdin, starts.child.stdout):
        assert pipe
        pipe.close()
