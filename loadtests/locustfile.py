"""The same load by hand, with Locust's web page: `locust -f loadtests/locustfile.py --host http://127.0.0.1:8000`.

Users are as many requests as can be under way at once; how often requests are sent is `--rate`. Statistics
are kept apart by outcome. One process only: Locust's workers would each send the whole rate.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import gevent
import locust
from locust.env import Environment
from pydantic import ValidationError

from loadtests.sending.open_loop import OpenLoop
from loadtests.sending.recorder import Recorder
from loadtests.users import OpenLoopUser
from scenarios.model import Keys, Workload
from scenarios.outcomes import ERROR, OUTCOMES, REASONS
from traffic.keys import Requests, requests
from traffic.logs import LogError

_USERS: Final = 64
_SPAWN_RATE: Final = 100


class WebUser(OpenLoopUser):
    """A user of the load that the page started last."""


class ReportingRecorder(Recorder):
    """Tells Locust's statistics of each request, in the unrounded times of its row."""

    def __init__(self, planned: Requests, environment: Environment) -> None:
        super().__init__(planned)
        events: Any = environment.events
        self._fire = events.request.fire

    def row(
        self, index: int, sent_us: int, end_us: int, status: int, code: int, length: int, reason: int = 0,
        told_by: int = 0,
    ) -> None:  # fmt: skip
        """Record what became of a request."""
        super().row(index, sent_us, end_us, status, code, length, reason, told_by)
        said = f"status {status}" if REASONS[reason] in ("status", "redirect") else REASONS[reason]
        self._fire(
            request_type="GET",
            name=f"/content ({OUTCOMES[code]})",
            response_time=(end_us - sent_us) / 1000,
            response_length=length,
            exception=RuntimeError(said) if code == ERROR else None,
            context={},
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a scenario's workload says."""
    usual = Workload()
    # Added to the parser itself: Locust's page has no fields for arguments of a group.
    parser.add_argument("--rate", type=float, default=usual.rate, help="Requests per second")
    parser.add_argument("--arrivals", choices=["poisson", "constant", "log"], default=usual.arrivals)
    parser.add_argument("--keys", type=int, default=usual.keys.count, help="Number of different paths")
    parser.add_argument("--exponent", type=float, default=usual.keys.exponent, help="Skew of the keys")
    parser.add_argument("--access-log", default="", help="An access log with the requests")
    parser.add_argument("--speedup", type=float, default=usual.speedup, help="With --arrivals log")
    parser.add_argument("--seconds", type=float, default=600.0, help="Duration of the planned requests")
    parser.add_argument(
        "--timeout", type=float, default=30.0, help="Seconds after which a request has failed"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", default="", help="A Parquet file for the rows of all requests")
    parser.set_defaults(num_users=_USERS, spawn_rate=_SPAWN_RATE)


def refuse(environment: Environment, **_: Any) -> None:
    """Refuse arguments that cannot be used before the page is there."""
    try:
        _planned(environment)
    except ValidationError as error:
        sentences = "; ".join(str(fault["msg"]) for fault in error.errors())
        sys.exit(f"the load cannot be sent: {sentences}")
    except LogError as error:
        sys.exit(str(error))
    # Locust is about to start the clock of --run-time; libev's idea of "now" is from before the imports.
    gevent.get_hub().loop.update_now()


def lay_out(environment: Environment, **_: Any) -> None:
    """Lay out the requests before any user is there."""
    recorder = ReportingRecorder(_planned(environment), environment)
    target = environment.host or "http://127.0.0.1:8000"
    options: Any = environment.parsed_options
    WebUser.open_loop = OpenLoop(recorder, (target,), options.timeout)


def begin(user_count: int, **_: Any) -> None:
    """Begin the schedule once the users are there; later changes of their number leave it alone."""
    if user_count and not WebUser.open_loop.started:
        WebUser.open_loop.start()


def halt(**_: Any) -> None:
    """Send nothing more, before users are taken away one by one."""
    WebUser.open_loop.halt()


def store(environment: Environment, **_: Any) -> None:
    """Close the connections and store the rows, where a file was named for them."""
    WebUser.open_loop.close()
    options: Any = environment.parsed_options
    if options.rows:
        WebUser.open_loop.recorder.write(Path(options.rows))


def _planned(environment: Environment) -> Requests:
    options: Any = environment.parsed_options
    return requests(_workload(options), 1, options.seconds, options.seed)


def _workload(options: argparse.Namespace) -> Workload:
    return Workload(
        rate=options.rate,
        arrivals=options.arrivals,
        keys=Keys(count=options.keys, exponent=options.exponent),
        log=Path(options.access_log) if options.access_log else None,
        speedup=options.speedup,
    )


_events: Any = locust.events
_events.init_command_line_parser.add_listener(add_arguments)
_events.init.add_listener(refuse)
_events.test_start.add_listener(lay_out)
_events.spawning_complete.add_listener(begin)
_events.test_stopping.add_listener(halt)
_events.test_stop.add_listener(store)
