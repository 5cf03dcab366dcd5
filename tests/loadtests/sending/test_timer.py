"""The timer that nothing rounds."""

from __future__ import annotations

import time

import gevent
from gevent.event import Event

from loadtests.sending.timer import Timer


def lateness_us(delay_us: int) -> float:
    rang = Event()
    at_ns = 0
    ended_ns = 0

    def due() -> None:
        nonlocal ended_ns
        ended_ns = time.perf_counter_ns()
        rang.set()

    timer = Timer(due)
    at_ns = time.perf_counter_ns() + delay_us * 1000
    timer.set(at_ns)
    assert rang.wait(5)
    timer.close()
    return (ended_ns - at_ns) / 1000


def test_it_is_never_early_and_rounds_nothing_to_milliseconds() -> None:
    late_us = [lateness_us(delay_us) for delay_us in (50, 300, 300, 700, 1200, 1300, 2600) * 3]
    assert min(late_us) >= 0
    # Rounded up to whole milliseconds, each of these would be at least 0.3 ms late.
    assert min(late_us) < 300


def test_a_time_that_has_passed_is_due_at_once() -> None:
    assert min(lateness_us(-5_000_000) for _ in range(5)) - 5_000_000 < 1000


def test_it_rings_once_and_not_after_it_is_closed() -> None:
    rings: list[int] = []
    timer = Timer(lambda: rings.append(1))
    timer.set(time.perf_counter_ns())
    gevent.sleep(0.01)
    assert rings == [1]
    timer.set(time.perf_counter_ns() + 5_000_000)
    timer.close()
    timer.close()
    gevent.sleep(0.01)
    assert rings == [1]
