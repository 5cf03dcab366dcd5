"""`python -m loadtests ORDER.json`: one trial's load, told on standard output in lines of JSON.

With `-` for the file its path is read from standard input, so that the generator can be made ready while
the variant is being deployed.
"""

from __future__ import annotations

# Locust patches the standard library for gevent, and so comes first.
from locust.env import Environment  # isort: skip

import gc
import json
import logging
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import gevent

from loadtests.access_log import LogError
from loadtests.client import TransportError
from loadtests.keys import requests
from loadtests.open_loop import OpenLoop
from loadtests.order import Order
from loadtests.recorder import Recorder
from loadtests.users import OpenLoopUser

_EVERY_S: Final = 0.5


def main(order_path: str) -> int:
    """Send a trial's load and store its rows; return the exit code."""
    if order_path == "-":
        order_path = sys.stdin.readline().strip()
        if not order_path:
            return 130
    order = Order.model_validate_json(Path(order_path).read_text(encoding="utf-8"))
    try:
        planned = requests(order.workload, len(order.targets), order.warmup_s + order.duration_s, order.seed)
    except LogError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    _allow_many_connections()
    recorder = Recorder(planned)
    loop = OpenLoop(recorder, order.targets, order.timeout_s)
    runner = _spawn_users(loop, order.workload.users)
    try:
        loop.connect()
    except TransportError as error:
        sys.stderr.write(f"a replica cannot be reached: {error}\n")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, sys.exit, 130)
    gc.collect()
    gc.freeze()
    gc.disable()
    began_s, cpu_s = time.perf_counter(), time.process_time()
    loop.start()
    _say(event="started", origin_s=loop.origin_s)
    while not loop.done.wait(_EVERY_S):
        outcomes = recorder.outcomes()
        _say(
            event="progress",
            t_s=loop.elapsed_s,
            offered=loop.offered,
            sent=loop.sent,
            done=sum(outcomes.values()),
            outcomes=outcomes,
        )
    cpu_ratio = (time.process_time() - cpu_s) / (time.perf_counter() - began_s)
    runner.quit()
    loop.close()
    recorder.write(order.rows)
    outcomes = recorder.outcomes()
    _say(
        event="finished",
        load={
            "offered": int(planned.at_us.size),
            "requests": sum(outcomes.values()),
            "outcomes": outcomes,
            "warmup_s": order.warmup_s,
            "duration_s": max(planned.span_s - order.warmup_s, 0.0),
            "most_users": loop.most_users,
            "cpu_ratio": cpu_ratio,
        },
    )
    return 0


def _spawn_users(loop: OpenLoop, count: int) -> Any:
    user = type("TrialUser", (OpenLoopUser,), {"open_loop": loop, "abstract": False})
    environment = Environment(user_classes=[user])
    runner = environment.create_local_runner()
    # Locust warns of more than 100 users a second; these only wait, and are there at once.
    logging.getLogger("locust.runners").setLevel(logging.ERROR)
    runner.start(count, spawn_rate=count)
    while loop.free_users < count:
        gevent.sleep(0.001)
    return runner


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as it goes: each request under way holds a connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _stop(*_: object) -> None:
    sys.exit(130)


if __name__ == "__main__":
    # The hub does not run yet, and so gevent would not hear of a signal.
    for early in (signal.SIGTERM, signal.SIGINT):
        signal.signal(early, _stop)
    sys.exit(main(sys.argv[1]))
