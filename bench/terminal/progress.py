"""How a run goes, told to whoever watches: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from reports.stored.records import TrialRecord
from reports.trial.gate import Gate
from reports.trial.validity import stands
from scenarios.plan import Trial


def _judged(record: TrialRecord, judged: Sequence[Gate]) -> str:
    """One line on a trial that has ended."""
    outcomes = record.load.outcomes
    hits, requests = outcomes.get("hit", 0), max(record.load.requests, 1)
    told = f"hit ratio {hits / requests:.1%}" if record.load.outcomes_known else "hits not told"
    known = record.upstream.known
    calls = f"{record.upstream.calls} upstream calls" if known else "upstream calls not counted"
    line = f"{record.id}: {record.load.requests} requests, {told}, {calls}"
    if record.load.requests == 0:
        line = f"{record.id}: 0 requests"
    broken = [gate for gate in judged if not gate.passed]
    if stands(judged, "counts") and broken:  # the same on trial after trial: in full at the end, and once
        return f"{line}; its latencies do not count ({', '.join(gate.name for gate in broken)})"
    return f"{line}; INVALID: {'; '.join(gate.reason for gate in broken)}" if broken else line


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
    """A line when a trial begins to matter, and one when it has ended."""

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

    def begins(self, trials: Sequence[Trial], ended: int) -> None:
        """Say how many trials there are."""
        self._total = len(trials)
        stored = f", {ended} of them stored already" if ended else ""
        self._print(f"{self._total} trials{stored}")

    def trial_begins(self, trial: Trial) -> None:
        """Count it."""
        self._number += 1
        self._total = max(self._total, self._number)
        self._clock.trial_begins()

    def stage(self, stage: str) -> None:
        """Stages are for the live display."""

    def progress(self, event: dict[str, Any]) -> None:
        """So is what the generator reports."""

    def trial_ended(self, record: TrialRecord, judged: Sequence[Gate]) -> None:
        """Say how it went, and what is left."""
        self._clock.trial_ended()
        left_s = self._clock.left_s(self._total - self._number)
        left = f" (about {_minutes(left_s)} left)" if left_s else ""
        self._print(f"[{self._number}/{self._total}] {_judged(record, judged)}{left}")

    def says(self, sentence: str) -> None:
        """Say it."""
        self._print(sentence)

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

    def begins(self, trials: Sequence[Trial], ended: int) -> None:
        """Show the bar."""
        self._total = len(trials)
        self._task = self._progress.add_task(
            "starting", total=self._total, completed=ended, done=f"{ended} of {self._total} trials", live=""
        )

    def trial_begins(self, trial: Trial) -> None:
        """Show which trial is under way, and what is left."""
        self._number += 1
        self._total = max(self._total, self._number)
        self._clock.trial_begins()
        left_s = self._clock.left_s(self._total - self._number + 1)
        left = f", {_minutes(left_s)} left" if left_s else ""
        self._update(
            description=trial.id,
            total=self._total,
            completed=self._number - 1,
            done=f"trial {self._number} of {self._total}{left}",
            live="",
        )

    def stage(self, stage: str) -> None:
        """Show it."""
        self._last = (0.0, 0)
        self._update(live=stage)

    def progress(self, event: dict[str, Any]) -> None:
        """Show the rate of the last moment, and the hit ratio and upstream calls so far."""
        if event["event"] != "progress":
            return
        at_s, done = float(event["t_s"]), int(event["done"])
        since_s, before = self._last
        self._last = (at_s, done)
        outcomes = event["outcomes"]
        answered = max(sum(outcomes.values()), 1)
        calls = outcomes.get("miss", 0) + outcomes.get("bypass", 0)
        rate = (done - before) / max(at_s - since_s, 1e-6)
        self._update(
            live=f"{rate:,.0f} req/s · {outcomes.get('hit', 0) / answered:.0%} hits · {calls} upstream calls"
        )

    def trial_ended(self, record: TrialRecord, judged: Sequence[Gate]) -> None:
        """Leave a line on it."""
        self._clock.trial_ended()
        self._progress.console.print(f"[{self._number}/{self._total}] {_judged(record, judged)}")

    def says(self, sentence: str) -> None:
        """Leave it above the bar."""
        self._progress.console.print(sentence)

    def _update(self, **fields: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, **fields)


def listener(console: Console) -> PlainListener | LiveListener:
    """Return the listener that suits where the output goes."""
    return LiveListener(console) if console.is_terminal else PlainListener(console)
