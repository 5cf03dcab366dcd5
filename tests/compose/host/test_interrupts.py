"""Signals: raised at once where nothing is held, else when it does no harm, and only once."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from compose.host import interrupts
from compose.host.interrupts import Interrupted, check, held, shielded


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    interrupts.install()
    yield
    interrupts.install()  # what has arrived is none of later tests'
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_is_raised_at_once(number: signal.Signals) -> None:
    with pytest.raises(Interrupted):
        interrupt(number)


def test_the_signals_after_the_first_change_nothing() -> None:
    with pytest.raises(Interrupted):
        interrupt()
    for number in (*interrupts.SIGNALS, *interrupts.SIGNALS):
        interrupt(number)
    check()


def test_where_something_is_held_it_waits_for_a_check() -> None:
    steps = []

    def work() -> None:
        with held():
            interrupt()
            steps.append("went on")
            check()
            steps.append("not reached")

    with pytest.raises(Interrupted):
        work()
    assert steps == ["went on"]


def test_without_a_check_it_waits_for_the_end_of_the_outermost_section() -> None:
    steps = []

    def work() -> None:
        with held():
            with held():
                interrupt()
            steps.append("after the inner one")

    with pytest.raises(Interrupted):
        work()
    assert steps == ["after the inner one"]


def test_what_is_shielded_hears_no_check() -> None:
    removed = []

    def work() -> None:
        with held():
            with shielded():
                for part in range(3):
                    interrupt()
                    check()
                    removed.append(part)
            removed.append("the rest")

    with pytest.raises(Interrupted):
        work()
    assert removed == [0, 1, 2, "the rest"]


def test_cleaning_after_an_interrupt_is_not_interrupted_again() -> None:
    removed = []

    def work() -> None:
        with held():
            try:
                interrupt()
                check()
            finally:
                for part in range(3):
                    interrupt()
                    check()
                    removed.append(part)

    with pytest.raises(Interrupted):
        work()
    assert removed == [0, 1, 2]


def test_other_threads_hear_of_a_signal_and_take_it_from_nobody() -> None:
    heard = []

    def work() -> None:
        with held(), shielded():
            try:
                check()
            except Interrupted:
                heard.append("interrupted")

    def both() -> None:
        with held():
            interrupt()
            other = threading.Thread(target=work)
            other.start()
            other.join()

    with pytest.raises(Interrupted):
        both()
    assert heard == ["interrupted"]
