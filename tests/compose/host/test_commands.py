"""Short commands: their end, their time, and an interrupt while they run."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from compose.host import interrupts
from compose.host.commands import how_it_ended, run
from compose.host.interrupts import Interrupted, held

ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    interrupts.install()
    yield
    interrupts.install()  # what has arrived is none of later tests'
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_it_says_is_told_however_much() -> None:
    ended = run(["sh", "-c", "yes | head -n 200000; echo end >&2; exit 7"], env=ENVIRONMENT, within_s=30)
    assert (ended.returncode, len(ended.stdout), ended.stderr) == (7, 400_000, "end\n")


def test_it_gets_the_environment_given_and_no_terminal() -> None:
    ended = run(
        ["sh", "-c", "env | grep -v -e ^PWD -e ^_ -e ^SHLVL; read x || echo none"],
        env=ENVIRONMENT,
        within_s=30,
    )
    assert ended.stdout == f"PATH={ENVIRONMENT['PATH']}\nnone\n"


@pytest.mark.parametrize("command", ["sleep 60", "kill -STOP $$"])
def test_one_that_takes_too_long_is_gone(command: str) -> None:
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", command], env=ENVIRONMENT, within_s=0.3)
    assert time.monotonic() - began < 9


def test_what_it_has_started_is_gone_with_it() -> None:
    script = "sleep 61.25 & wait"
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", script], env=ENVIRONMENT, within_s=0.5)
    left = subprocess.run(["pgrep", "-f", "^sleep 61.25$"], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_an_interrupt_is_heard_while_it_runs(handlers: None) -> None:
    def interrupted() -> None:
        with held():
            run(["sleep", "60"], env=ENVIRONMENT, within_s=60)

    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        interrupted()
    assert time.monotonic() - began < 5
    timer.join()


def test_how_a_process_ended_is_said_in_words() -> None:
    assert how_it_ended(3) == "ended with exit code 3"
    assert how_it_ended(-9) == "was killed (SIGKILL)"
    assert how_it_ended(-99) == "was killed by signal 99"
