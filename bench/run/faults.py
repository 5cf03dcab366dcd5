"""What goes wrong in a trial: noted, so that the trial is stored as an invalid one and the run goes on."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench.errors import UserError
from bench.events.model import StageName
from bench.load.local import LoadError
from compose.stack import Lost, Stack, StackError, UnsuitableError
from reports.stored.records import Fault
from scenarios.facts import LoadFacts, MachineFacts, UpstreamFacts
from scenarios.plan import Trial

T = TypeVar("T")


@dataclass
class Course:
    """How far an attempt at a trial has come, and what is known of it; `enters` is told each stage."""

    enters: Callable[[StageName], None]
    load: LoadFacts
    machine: MachineFacts
    stage: str = ""
    up_s: float = 0.0
    down_s: float = 0.0
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None

    def enter(self, stage: StageName) -> None:
        """Begin a stage."""
        self.stage = stage
        self.enters(stage)

    @contextlib.contextmanager
    def noting_faults(self) -> Iterator[None]:
        """Note what fails in this section, and leave the section.

        Raises:
            UserError: the disk is full.
            UnsuitableError: the scenario has to change.
        """
        try:
            yield
        except UnsuitableError:
            raise
        except (StackError, LoadError) as error:
            words = {error.part: error.last_words} if error.last_words else {}
            self.note(error.reason, words)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UserError(
                    f"the disk is full ({error}); free some space and resume with --resume"
                ) from error
            self.note(str(error))

    def note(self, reason: str, last_words: Mapping[str, str] | None = None) -> None:
        """Note a fault; the first one stands, since those after it mostly follow from it."""
        if self.fault is None:
            self.fault = Fault(stage=self.stage, reason=reason, last_words=dict(last_words or {}))

    def note_lost(self, lost: tuple[Lost, ...]) -> None:
        """Note the parts of the deployment that were lost under load, before what followed from that."""
        if not lost:
            return
        reasons = [f"{part.name} {part.how}" for part in lost]
        words = {part.name: part.last_words for part in lost}
        if self.fault is not None:
            reasons.append(self.fault.reason)
            words |= self.fault.last_words
        self.fault = Fault(stage=self.stage, reason="; ".join(reasons), last_words=words)

    def ask(self, count: Callable[[], T]) -> T | None:
        """Return what somebody has counted; None, with the fault noted, where nobody answers."""
        with self.noting_faults():
            return count()
        return None

    def sees(self, event: Mapping[str, Any]) -> None:
        """Remember how far the load is, should its generator never come to tell the whole."""
        if event["event"] == "progress":
            outcomes = event["outcomes"]
            requests = sum(outcomes.values())
            known = {"offered": event["offered"], "requests": requests, "outcomes": outcomes}
            self.load = self.load.model_copy(update=known)


def nothing_sent(trial: Trial) -> LoadFacts:
    """Return the facts of a load that has not begun."""
    return LoadFacts(
        offered=0, requests=0, outcomes={}, warmup_s=trial.warmup_s, duration_s=trial.duration_s,
        most_users=0, cpu_ratio=0.0,
    )  # fmt: skip


def nothing_counted(stack: Stack) -> dict[str, Any]:
    """Return the facts of a trial about which nobody could be asked."""
    upstream = UpstreamFacts(calls=0, by_status={}, counted_by="nobody" if stack.deploys else "headers")
    return {"link": None, "app": None, "upstream": upstream}
