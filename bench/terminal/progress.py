"""Shows the progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.events import model
from bench.events.model import Begins, Event, Judged, Says, Stage, TrialBegins


def _line(judged: Judged) -> str:
    """One line on a trial that has ended."""
    if judged.requests == 0:
        line = f"{judged.trial}: 0 requests"
    else:
        hits = judged.outcomes.get("hit", 0)
        told = f"hit ratio {hits / judged.requests:.1%}" if judged.outcomes_known else "hits unknown"
        calls = judged.upstream_calls
        called = "upstream calls not counted" if calls is None else f"{calls} upstream calls"
        line = f"{judged.trial}: {judged.requests} requests, {told}, {called}"
    if not judged.failed:
        return line
    if judged.counts_valid:  # the same on trial after trial: in full at the end, and once
        names = ", ".join(gate.name for gate in judged.failed)
        return f"{line}; latencies invalid ({names})"
    return f"{line}; INVALID: {'; '.join(gate.reason for gate in judged.failed)}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Clock:
    """Estimates what is left of a run from the trials that it has seen end."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._spent: list[float] = []

    def trial_begins(self) -> None:
        """Start timing a trial."""
        self._began = time.monotonic()

    def trial_ended(self) -> None:
        """Stop timing it."""
        if self._began is not None:
            self._spent.append(time.monotonic() - self._began)

    def left_s(self, trials: int) -> float | None:
        """Return how long so many trials will take; None while none has ended."""
        return trials * sum(self._spent) / len(self._spent) if self._spent else None


class PlainListener:
    """Hears a run's events: a line when it begins, and one for each trial that has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._clock = Clock()
        self._total = 0
        self._number = 0

    def __enter__(self) -> PlainListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def __call__(self, event: Event) -> None:
        """Hear an event; stages and progress are for the live display."""
        match event:
            case Begins():
                self._print(_beginning(event))
                self._total = len(event.trials)
                stored = f", {event.stored} of them already stored" if event.stored else ""
                self._print(f"{self._total} trials{stored}")
            case TrialBegins():
                self._number += 1
                self._total = max(self._total, self._number)
                self._clock.trial_begins()
            case Judged():
                self._clock.trial_ended()
                left_s = self._clock.left_s(self._total - self._number)
                left = f" (about {_minutes(left_s)} left)" if left_s else ""
                self._print(f"[{self._number}/{self._total}] {_line(event)}{left}")
            case Says():
                self._print(event.sentence)

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


class LiveListener:
    """A bar of trials and a line of live figures; each trial that ended leaves a line above."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[done]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[live]}", markup=False),
            console=console,
            transient=True,
        )
        self._clock = Clock()
        self._task: TaskID | None = None
        self._total = 0
        self._number = 0
        self._last: tuple[float, int] = (0.0, 0)

    def __enter__(self) -> LiveListener:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        match event:
            case Begins():
                self._progress.console.print(_beginning(event))
                self._show_bar(len(event.trials), event.stored)
            case TrialBegins():
                self._show_trial(event.trial)
            case Stage():
                self._last = (0.0, 0)
                self._update(live=event.stage)
            case model.Progress():
                self._show_load(event)
            case Judged():
                self._clock.trial_ended()
                self._progress.console.print(f"[{self._number}/{self._total}] {_line(event)}")
            case Says():
                self._progress.console.print(event.sentence)

    def _show_bar(self, trials: int, stored: int) -> None:
        self._total = trials
        self._task = self._progress.add_task(
            "starting", total=trials, completed=stored, done=f"{stored} of {trials} trials", live=""
        )

    def _show_trial(self, trial: str) -> None:
        """Show which trial is under way, and what is left."""
        self._number += 1
        self._total = max(self._total, self._number)
        self._clock.trial_begins()
        left_s = self._clock.left_s(self._total - self._number + 1)
        left = f", {_minutes(left_s)} left" if left_s else ""
        self._update(
            description=trial,
            total=self._total,
            completed=self._number - 1,
            done=f"trial {self._number} of {self._total}{left}",
            live="",
        )

    def _show_load(self, now: model.Progress) -> None:
        """Show the rate of the last moment, and the hit ratio and upstream calls so far."""
        since_s, before = self._last
        self._last = (now.t_s, now.done)
        answered = max(sum(now.outcomes.values()), 1)
        calls = now.outcomes.get("miss", 0) + now.outcomes.get("bypass", 0)
        rate = (now.done - before) / max(now.t_s - since_s, 1e-6)
        self._update(
            live=f"{rate:,.0f} req/s · {now.outcomes.get('hit', 0) / answered:.0%} hits · "
            f"{calls} upstream calls"
        )

    def _update(self, **fields: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, **fields)


def _beginning(event: Begins) -> str:
    return f"Run {event.run_id} on the {event.stack} stack: {event.reason}."


def listener(console: Console) -> PlainListener | LiveListener:
    """Return the listener that suits where the output goes."""
    return LiveListener(console) if console.is_terminal else PlainListener(console)
