"""`python -m loadtests ORDER.json`: one trial's load, told on standard output in lines of JSON.

With `-` for the file its path is read from standard input, so that the generator can be made ready while
the variant is being deployed. A second line has the headers that go with each request, as JSON.
"""

from __future__ import annotations

# Locust patches the standard library for gevent, and so comes first.
from locust.env import Environment  # isort: skip

import signal
import sys
from typing import Any

import gevent

from loadtests.order import Order
from loadtests.reading.answers import Reader
from loadtests.sending.client import TransportError
from loadtests.sending.open_loop import OpenLoop
from loadtests.sending.process import (
    EVERY_S,
    Stopwatch,
    facts,
    keep_still,
    make_ready,
    moment,
    progress,
    say,
    stop,
    wait_for_users,
)
from loadtests.sending.recorder import Recorder
from loadtests.users import OpenLoopUser
from traffic.keys import requests
from traffic.logs import LogError


def main(order_path: str) -> int:
    """Send a trial's load and store its rows; return the exit code."""
    told = sys.stdin if order_path == "-" else None
    if told is not None:
        order_path = told.readline().strip()
        if not order_path:
            return 130
    order = Order.read(order_path, told)
    try:
        planned = requests(order.workload, len(order.targets), order.warmup_s + order.duration_s, order.seed)
    except LogError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    make_ready()
    recorder = Recorder(planned, Reader(order.contract).sources)
    loop = OpenLoop(
        recorder,
        order.targets,
        order.timeout_s,
        order.warmup_s,
        contract=order.contract,
        headers=order.headers,
    )
    runner = _spawn_users(loop, order.workload.users)
    try:
        loop.connect()
    except TransportError as error:
        sys.stderr.write(f"a replica cannot be reached: {error}\n")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, sys.exit, 130)
    keep_still()
    at_ns = moment() if order.held else None
    if order.held and at_ns is None:
        return 130
    stopwatch = Stopwatch()
    loop.start(at_ns)
    say(event="started", origin_s=loop.origin_s)
    while not loop.done.wait(EVERY_S):
        so_far = progress(loop)
        say(event="progress", t_s=loop.elapsed_s, done=sum(so_far["outcomes"].values()), **so_far)
    cpu_ratio = stopwatch.cpu_ratio()
    runner.quit()
    loop.close()
    recorder.write(order.rows)
    load = facts(
        recorder,
        order,
        most_users=loop.most_users,
        cpu_ratio=cpu_ratio,
        under_way=loop.under_way,
        unsent=loop.unsent,
    )
    say(event="finished", load=load.model_dump())
    return 0


def _spawn_users(loop: OpenLoop, count: int) -> Any:
    user = type("TrialUser", (OpenLoopUser,), {"open_loop": loop, "abstract": False})
    environment = Environment(user_classes=[user])
    runner = environment.create_local_runner()
    runner.start(count, spawn_rate=count)
    wait_for_users(loop, count)
    return runner


if __name__ == "__main__":
    # The hub does not run yet, and so gevent would not hear of a signal.
    for early in (signal.SIGTERM, signal.SIGINT):
        signal.signal(early, stop)
    sys.exit(main(sys.argv[1]))
