"""`python -m loadtests.worker --master HOST:PORT`: takes its part in one trial's load, and ends.

With `-` for the master its address is read from standard input. Exit codes: 0, the part was sent and its
rows are the master's; 2, master or worker refused; 3, the trial was ended early, or the master is gone; 4,
no master came.
"""

from __future__ import annotations

# Locust patches the standard library for gevent, and so comes first.
import locust  # noqa: F401  # isort: skip

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import Final

import gevent
from pydantic import ValidationError

from loadtests.distributed.line import GoneError, Line, RefusedError
from loadtests.distributed.protocol import Done, Failed, LaidOut, batches, fingerprint, is_near, share
from loadtests.order import Part
from loadtests.reading.answers import Reader
from loadtests.sending.client import TransportError
from loadtests.sending.open_loop import OpenLoop
from loadtests.sending.process import EVERY_S, Stopwatch, beside, keep_still, make_ready, progress, stop
from loadtests.sending.recorder import Recorder
from loadtests.users import TrialUser
from traffic.keys import requests
from traffic.logs import LogError

_RECEIPT_S: Final = 5.0
_TRIES: Final = 4


def take_part(line: Line, *, anywhere: bool) -> None:
    """Send this worker's part of a trial, and deliver its rows.

    Raises:
        GoneError: the master ended the trial, or was lost: nothing more is sent.
        RefusedError: the targets are not near, and `anywhere` is not set.
        TransportError: a target cannot be reached.
        LogError: the workload's log cannot be used.
    """
    message = line.expect("part")
    assert message is not None, "there is no limit of time"
    part = Part.model_validate_json(message[0]["part"]).model_copy(update={"headers": message[0]["headers"]})
    if not anywhere:
        _refuse_far(part.targets)
    span_s = part.warmup_s + part.duration_s
    plan = beside(requests, part.workload, len(part.targets), span_s, part.seed)
    print_of_plan = beside(fingerprint, plan)
    recorder = Recorder(share(plan, part.worker, part.workers), Reader(part.contract).sources)
    count = int(recorder.requests.at_us.size)
    loop = OpenLoop(
        recorder, part.targets, part.timeout_s, part.warmup_s, contract=part.contract, headers=part.headers
    )
    TrialUser.open_loop = loop
    loop.connect()
    line.say("laid-out", LaidOut(plan=print_of_plan).model_dump())
    _tell(f"worker {part.worker + 1} of {part.workers}: {count} requests to {', '.join(part.targets)}")
    try:
        _send(line, loop)
    finally:
        loop.close()
    _deliver(line, recorder, count)


def _send(line: Line, loop: OpenLoop) -> None:
    """Send the whole share, beginning when the master says."""
    while line.runner.worker_state != "running" or loop.free_users < line.runner.user_count:
        line.check()
        gevent.sleep(0.002)
    keep_still()
    line.say("ready")
    message = line.expect("begin")
    assert message is not None, "there is no limit of time"
    data, at_ns = message
    line.say("begun")
    stopwatch = Stopwatch()
    loop.start(at_ns + int(data["in_us"]) * 1000)
    while not loop.done.wait(EVERY_S):
        line.check()
        line.say("progress", progress(loop))
    outcomes = loop.recorder.outcomes()
    done = Done(
        outcomes=outcomes, cpu_ratio=stopwatch.cpu_ratio(), under_way=loop.under_way, unsent=loop.unsent
    )
    line.say("done", done.model_dump())


def _deliver(line: Line, recorder: Recorder, count: int) -> None:
    """Bring the rows to the master, each batch until its receipt is there."""
    line.expect("collect")
    for first, size in batches(count):
        columns = recorder.packed(slice(first, first + size))
        for _ in range(_TRIES):
            line.say("rows", {"first": first, "count": size, "columns": columns})
            receipt = line.expect("kept", _RECEIPT_S)
            while receipt is not None and receipt[0]["first"] != first:
                receipt = line.expect("kept", _RECEIPT_S)
            if receipt is not None:
                break
        else:
            raise GoneError("the master does not confirm the rows")


def _refuse_far(targets: Sequence[str]) -> None:
    far = [url for url in targets if not is_near(url)]
    if far:
        raise RefusedError(
            f"{far[0]} is not a loopback or private address; nothing was sent. Start the worker with "
            "--i-own-this-target if it is yours to load"
        )


def main(arguments: Sequence[str]) -> int:
    """Take part in one trial; return the exit code."""
    options = _options(arguments)
    address = options.master
    if address == "-":
        address = sys.stdin.readline().strip()
        if not address:
            return 130
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, sys.exit, 130)
    make_ready()
    host, _, port = address.rpartition(":")
    try:
        line = Line(host, int(port), options.patience)
    except GoneError as error:
        return _ended(error, 4)
    code = _one_trial(line, options)
    line.hang_up()
    return code


def _one_trial(line: Line, options: argparse.Namespace) -> int:
    try:
        line.introduce()
    except RefusedError as error:
        return _ended(error, 2)
    except GoneError as error:
        return _ended(error, 4)
    try:
        take_part(line, anywhere=options.i_own_this_target)
    except GoneError as error:
        return _ended(error, 3)
    except RefusedError as error:
        _fail(line, f"refuses: {error}", 2)
        return _ended(error, 2)
    except (LogError, ValidationError) as error:
        _fail(line, str(error), 2)
        return _ended(error, 3)
    except TransportError as error:
        _fail(line, f"a replica cannot be reached: {error}", 1)
        return _ended(error, 3)
    except SystemExit:
        _fail(line, "was ended by a signal", 2)
        line.hang_up()
        raise
    _tell("sent and delivered")
    return 0


def _fail(line: Line, reason: str, code: int) -> None:
    line.say("failed", Failed(reason=reason[:2000], code=code).model_dump())


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.worker")
    parser.add_argument("--master", required=True, help="HOST:PORT, or - to read it from standard input")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds to wait for a master")
    parser.add_argument("--i-own-this-target", action="store_true")
    return parser.parse_args(arguments)


def _ended(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code


def _tell(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # The hub does not run yet, and so gevent would not hear of a signal.
    for early in (signal.SIGTERM, signal.SIGINT):
        signal.signal(early, stop)
    sys.exit(main(sys.argv[1:]))
