"""What every process that sends load does: connections enough, no garbage collector, lines of JSON."""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import gevent
import gevent.socket

from loadtests.order import Sending
from loadtests.sending.limits import raise_open_files
from loadtests.sending.open_loop import OpenLoop
from loadtests.sending.recorder import Recorder
from scenarios.facts import LoadFacts

EVERY_S: Final = 0.5


def make_ready() -> None:
    """Allow many connections, and have Locust's runners say only what is wrong.

    Each request under way holds a connection. Locust warns of more than 100 users a second; these only
    wait, and are there at once.
    """
    raise_open_files()
    logging.getLogger("locust.runners").setLevel(logging.ERROR)


def wait_for_users(loop: OpenLoop, count: int) -> None:
    """Return once so many users wait for requests."""
    while loop.free_users < count:
        gevent.sleep(0.001)


def keep_still() -> None:
    """Have the garbage collector out of the way until the process ends."""
    gc.collect()
    gc.freeze()
    gc.disable()


class Stopwatch:
    """Measures how much of a core this process uses."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def cpu_ratio(self) -> float:
        """Return CPU time over wall time since the beginning."""
        return (time.process_time() - self._cpu_s) / (time.perf_counter() - self._wall_s)


def beside(work: Callable[..., Any], *arguments: object) -> Any:
    """Return what `work` returns, or raise what it raises; the hub goes on answering meanwhile."""

    def kept() -> tuple[Any, Exception | None]:
        try:
            return work(*arguments), None
        except Exception as error:  # gevent would print it as well
            return None, error

    result, error = gevent.get_hub().threadpool.apply(kept)
    if error is not None:
        raise error
    return result


def progress(loop: OpenLoop) -> dict[str, Any]:
    """Return how far the load is."""
    return {"offered": loop.offered, "sent": loop.sent, "outcomes": loop.recorder.outcomes()}


def facts(
    recorder: Recorder,
    sending: Sending,
    *,
    most_users: int,
    cpu_ratio: float,
    under_way: float | None,
    unsent: int,
) -> LoadFacts:
    """Return what the load side says of a trial that has ended."""
    planned, outcomes = recorder.requests, recorder.outcomes()
    return LoadFacts(
        offered=int(planned.at_us.size),
        requests=sum(outcomes.values()),
        outcomes=outcomes,
        warmup_s=sending.warmup_s,
        duration_s=max(planned.span_s - sending.warmup_s, 0.0),
        most_users=most_users,
        cpu_ratio=cpu_ratio,
        under_way=under_way,
        unsent=unsent,
        **recorder.facts(),
    )


def say(**event: object) -> None:
    """Report to the process that started this one."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def moment() -> int | None:
    """Say that all is ready, and wait for the moment at which to begin (ns, as `time.perf_counter_ns`).

    None where whoever started this process has gone.
    """
    say(event="ready")
    gevent.socket.wait_read(sys.stdin.fileno())
    line = sys.stdin.readline()
    return int(line) if line.strip() else None


def stop(*_: object) -> None:
    """End, as a signal asks."""
    sys.exit(130)
