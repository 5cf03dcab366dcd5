"""Who is told how a run goes: the terminal, or a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from reports.stored.records import TrialRecord
from reports.trial.gate import Gate
from scenarios.plan import Trial


class Listener(Protocol):
    """Who is told how the run goes."""

    def begins(self, trials: Sequence[Trial], ended: int) -> None:
        """The run begins, or goes on with `ended` trials stored already; more may be added."""

    def trial_begins(self, trial: Trial) -> None:
        """A trial is next: to be tried, or stored already."""

    def stage(self, stage: str) -> None:
        """The trial under way enters a stage: `deploying`, `filling`, `loading`, `counting`, `removing`."""

    def progress(self, event: dict[str, Any]) -> None:
        """The load generator reports."""

    def trial_ended(self, record: TrialRecord, judged: Sequence[Gate]) -> None:
        """A trial was tried and is stored."""

    def says(self, sentence: str) -> None:
        """The run as a whole has something to say: why it goes on, or ends."""
