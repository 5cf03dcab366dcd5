"""`python -m loadtests.master ORDER.json --bind ADDRESS:PORT --workers N`: one trial's load by N workers.

What it tells on standard output, and what it stores, is what `python -m loadtests` tells and stores; the
port comes first, so that workers can be told. With `-` the order's path is read from standard input.
"""

from __future__ import annotations

# Locust patches the standard library for gevent, and so comes first.
from locust.env import Environment  # noqa: F401  # isort: skip

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import gevent
import gevent.socket

from loadtests.distributed.crew import BrokenError, Crew, LostError
from loadtests.distributed.protocol import (
    DistributedError,
    Done,
    LaidOut,
    Merger,
    Progress,
    Rows,
    added,
    fingerprint,
    own_boot,
    refusal,
    share_size,
)
from loadtests.order import Order, Part
from loadtests.reading.answers import Reader
from loadtests.sending.process import EVERY_S, beside, facts, make_ready, moment, say, stop
from traffic.keys import Requests, requests
from traffic.logs import LogError

_LOST: Final = 3  # this process's exit code
_GATHER_S: Final = 120.0
_STEP_S: Final = 120.0
_LEAD_US: Final = 300_000


def conduct(crew: Crew, order: Order) -> None:
    """Have the crew send a trial's load; store its rows and tell what it counted.

    Raises:
        DistributedError: a worker cannot take part, was lost, or disagrees.
        BrokenError: a worker failed.
        LogError: the workload's log cannot be used.
    """
    plan: Requests = beside(
        requests, order.workload, len(order.targets), order.warmup_s + order.duration_s, order.seed
    )
    crew.gather(_GATHER_S)
    _hand_out(crew, order, plan)
    # Each worker needs a user at least, or its share is never sent.
    crew.spawn_users(max(order.workload.users, crew.size))
    crew.each("ready", _STEP_S)
    at_ns = moment() if order.held else time.perf_counter_ns() + _LEAD_US * 1000
    if at_ns is None:
        raise DistributedError("the run was interrupted")
    origin_s, skew_ms = _begin(crew, at_ns)
    done = _follow(crew, origin_s)
    merger = _collect(crew, plan, Reader(order.contract).sources)
    merger.check(done)
    recorder = merger.recorder
    recorder.write(order.rows, crew.size)
    busiest = max(part.cpu_ratio for part in done)
    each = [part.under_way for part in done if part.under_way is not None]
    under_way = sum(each) if len(each) == len(done) else None
    load = facts(
        recorder,
        order,
        most_users=recorder.most_under_way(),
        cpu_ratio=busiest,
        under_way=under_way,
        unsent=sum(part.unsent for part in done),
    )
    of_crew = {"workers": crew.size, "start_skew_ms": skew_ms, "dropped": crew.dropped}
    say(event="finished", load=load.model_copy(update=of_crew).model_dump())


def _hand_out(crew: Crew, order: Order, plan: Requests) -> None:
    """Tell each worker its part, and see that all have laid out the same plan."""
    parts = [
        Part(**order.model_dump(exclude={"rows", "held"}), worker=worker, workers=crew.size)
        for worker in range(crew.size)
    ]
    for hello in crew.hellos:
        reason = refusal(order, hello, own_boot())
        if reason is not None:
            raise DistributedError(reason)
    for worker, part in enumerate(parts):
        crew.tell(worker, "part", {"part": part.model_dump_json(), "headers": order.headers})
    expected = beside(fingerprint, plan)
    for mail in crew.each("laid-out", _STEP_S):
        laid_out = crew.read(LaidOut, mail)
        if laid_out.plan != expected:
            raise DistributedError(
                f"{crew.name(mail.worker)} planned other requests from the same seed: install the same "
                "versions of sidecar-bench and NumPy on all machines"
            )


def _begin(crew: Crew, at_ns: int) -> tuple[float, float]:
    """Start all schedules at a moment; return when, in seconds of the monotonic clock, and the skew (ms).

    A worker heard of it after the message was sent and before its receipt came back. So no schedule begins
    further from another than from the first message to the last receipt: a bound by one clock alone.
    """
    before_ns = time.perf_counter_ns()
    in_us = max((at_ns - before_ns) // 1000, 0)
    crew.tell_all("begin", {"in_us": in_us})
    begun_ns = max(mail.at_ns for mail in crew.each("begun", _STEP_S))
    origin_s = before_ns / 1e9 + in_us / 1e6
    say(event="started", origin_s=origin_s)
    return origin_s, (begun_ns - before_ns) / 1e6


def _follow(crew: Crew, origin_s: float) -> list[Done]:
    """Tell of the load's progress until every worker has sent its share."""
    done: dict[int, Done] = {}
    latest: dict[int, Progress] = {}
    told_s = time.monotonic()
    while len(done) < crew.size:
        mail = crew.hear(0.1)
        if mail is not None and mail.kind == "progress":
            latest[mail.worker] = crew.read(Progress, mail)
        elif mail is not None and mail.kind == "done":
            facts_of_one = done[mail.worker] = crew.read(Done, mail)
            sent = facts_of_one.requests
            latest[mail.worker] = Progress(offered=sent, sent=sent, outcomes=facts_of_one.outcomes)
        if time.monotonic() - told_s >= EVERY_S:
            told_s = time.monotonic()
            _tell_progress(latest, time.perf_counter() - origin_s)
    return [done[worker] for worker in range(crew.size)]


def _tell_progress(latest: Mapping[int, Progress], t_s: float) -> None:
    outcomes = added(part.outcomes for part in latest.values())
    say(
        event="progress",
        t_s=t_s,
        done=sum(outcomes.values()),
        offered=sum(part.offered for part in latest.values()),
        sent=sum(part.sent for part in latest.values()),
        outcomes=outcomes,
    )


def _collect(crew: Crew, plan: Requests, sources: Sequence[str]) -> Merger:
    """Take over everybody's rows. Nobody delivers while another still sends: it would cost CPU time."""
    merger = Merger(plan, crew.size, sources)
    count = int(plan.at_us.size)
    crew.released.update(worker for worker in range(crew.size) if not share_size(count, worker, crew.size))
    crew.tell_all("collect", {})
    while not merger.whole():
        mail = crew.hear(0.2)
        if mail is None or mail.kind != "rows":
            continue
        rows = crew.read(Rows, mail)
        merger.take(mail.worker, rows)
        if rows.first + rows.count == share_size(count, mail.worker, crew.size):
            crew.released.add(mail.worker)
        crew.tell(mail.worker, "kept", {"first": rows.first})
    return merger


def main(arguments: Sequence[str]) -> int:
    """Have one trial's load sent; return the exit code."""
    options = _options(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, sys.exit, 130)
    make_ready()
    host, _, port = options.bind.rpartition(":")
    try:
        crew = Crew(host, int(port), options.workers)
    except DistributedError as error:
        return _ended(error, 2)
    say(event="listening", port=crew.port)
    path = options.order
    if path == "-":
        gevent.socket.wait_read(sys.stdin.fileno())  # meanwhile workers come, and are answered
        path = sys.stdin.readline().strip()
    reason = "the run was interrupted"
    try:
        if not path:
            return 130
        conduct(crew, Order.read(path, sys.stdin if options.order == "-" else None))
        reason = ""
    except (DistributedError, LogError) as error:
        reason = str(error)
        return _ended(error, 2)
    except LostError as error:
        reason = str(error)
        return _ended(error, _LOST)
    except BrokenError as error:
        reason = str(error)
        return _ended(error, 1)
    finally:
        crew.dismiss(reason)
    return 0


def _options(arguments: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m loadtests.master")
    parser.add_argument("order", help="the order's path, or - to read it from standard input")
    parser.add_argument("--bind", default="127.0.0.1:0", help="ADDRESS:PORT; port 0 is any that is free")
    parser.add_argument("--workers", type=int, required=True)
    return parser.parse_args(arguments)


def _ended(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code


if __name__ == "__main__":
    # The hub does not run yet, and so gevent would not hear of a signal.
    for early in (signal.SIGTERM, signal.SIGINT):
        signal.signal(early, stop)
    sys.exit(main(sys.argv[1:]))
