"""Who does something to a deployment while it is loaded: a thread that outlives whoever asks it to.

The kernel kills a child when the *thread* that started it ends (PR_SET_PDEATHSIG in prctl(2)). A replica that
is started under load by a thread of the moment would die with it. The actor therefore begins before the
deployment and ends after it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from compose.faults import Faults
from compose.host.interrupts import Interrupted
from compose.stack import StackError
from scenarios.timeline import Action, Done


@dataclass(frozen=True)
class _Order:
    faults: Faults
    actions: tuple[Action, ...]
    origin_s: float  # by time.perf_counter, when the load's schedule began


class Actor:
    """Does what it is told, one thing after the other; entered before a deployment, and left after it."""

    def __init__(self) -> None:
        self._orders: queue.Queue[_Order | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="actor", daemon=True)
        self._no_more = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._done: list[Done] = []

    def __enter__(self) -> Actor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._no_more.set()
        self._orders.put(None)
        self._thread.join()

    def begin(self, faults: Faults, actions: Sequence[Action], origin_s: float) -> None:
        """Do these things at their times from now on; `origin_s` is the load's start, by `perf_counter`."""
        self._idle.clear()
        self._orders.put(_Order(faults, tuple(sorted(actions, key=lambda action: action.at_s)), origin_s))

    def finished(self) -> list[Done]:
        """Wait for what is under way, leave out what is not, and return what was done."""
        self._no_more.set()
        self._idle.wait()
        return list(self._done)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            for action in order.actions:
                if not self._awaits(order.origin_s + action.at_s):
                    break
                self._done.append(_do(order, action))
            self._idle.set()

    def _awaits(self, at_s: float) -> bool:
        """Wait for a moment; return whether it came before there was no more to be done."""
        return not self._no_more.wait(max(at_s - time.perf_counter(), 0.0))


def _do(order: _Order, action: Action) -> Done:
    """Do something, and say when, and what came of it."""

    def now_us() -> int:
        return round((time.perf_counter() - order.origin_s) * 1e6)

    begun_us, done_us, reason = now_us(), None, ""
    arguments = () if action.number is None else (action.number,)
    try:
        getattr(order.faults, action.do)(*arguments)
        done_us = now_us()
    except StackError as error:
        reason = error.reason
    except Interrupted:
        reason = "the run was interrupted"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return Done(
        do=action.do,
        number=action.number,
        asked_us=round(action.at_s * 1e6),
        begun_us=begun_us,
        done_us=done_us,
        reason=reason,
    )
