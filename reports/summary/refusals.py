"""What is invalid, and why: each reason once, with the trials that it excludes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from reports.summary.model import GateResult, Refused, TrialSummary
from reports.trial.gate import REMEDIES
from scenarios.metrics import KINDS, Kind

_LEFT_OUT: Final = {KINDS: "Excluded", ("counts",): "Counts excluded", ("times",): "Latencies excluded"}
_MOST_NAMED: Final = 3


def grouped(trials: Sequence[TrialSummary]) -> list[Refused]:
    """Return what was excluded, by kind and by the gate that most of the trials failed."""
    found: list[Refused] = []
    for kinds in _LEFT_OUT:
        left = [trial for trial in trials if _lost(trial) == kinds]
        while left:
            gate = _most_frequent(left, kinds)
            failed = [
                (trial, result) for trial in left for result in _failed(trial, kinds) if result.name == gate
            ]
            found.append(
                Refused(
                    kinds=list(kinds),
                    gate=gate,
                    trials=[name(trial) for trial, _ in failed],
                    reason=failed[0][1].reason or "",
                    remedy=REMEDIES.get(gate, ""),
                )
            )
            left = [trial for trial in left if trial not in [each for each, _ in failed]]
    return found


def sentence(refused: Refused) -> str:
    """Say what was excluded and why: `Latencies excluded: b01-sidecar: …`."""
    trials = refused.trials
    named = ", ".join(trials[:_MOST_NAMED]) + (", …" if len(trials) > _MOST_NAMED else "")
    of = named if len(trials) == 1 else f"{len(trials)} trials ({named})"
    first = "" if len(trials) == 1 else f"{trials[0]}: "
    remedy = f" {refused.remedy}" if refused.remedy else ""
    return f"{_LEFT_OUT[tuple(refused.kinds)]}: {of}: {first}{refused.reason}.{remedy}"


def tally(trials: Sequence[TrialSummary]) -> str:
    """Say how many trials are valid: `8 of 10 trials are valid, only the counts of 2`."""
    valid = sum(trial.valid for trial in trials)
    counts = sum(trial.counts_valid and not trial.times_valid for trial in trials)
    times = sum(trial.times_valid and not trial.counts_valid for trial in trials)
    alone = [
        f"only the {kind} of {count}" for kind, count in (("counts", counts), ("latencies", times)) if count
    ]
    return ", ".join([f"{valid} of {len(trials)} trials are valid", *alone])


def standing(trial: TrialSummary) -> str:
    """Say in a word or two what is valid in a trial."""
    if trial.valid:
        return "valid"
    alone = "counts" if trial.counts_valid else "latencies" if trial.times_valid else None
    return f"only {alone} valid" if alone else "invalid"


def without(refused: Iterable[Refused], kind: Kind) -> Refused | None:
    """Return the reason for which most trials lost their counts, or their times."""
    return max((one for one in refused if kind in one.kinds), key=lambda one: len(one.trials), default=None)


def name(trial: TrialSummary) -> str:
    """Name a trial, with its attempt if it was not the first."""
    return trial.id if trial.attempt == 1 else f"{trial.id}, attempt {trial.attempt}"


def _lost(trial: TrialSummary) -> tuple[Kind, ...]:
    stands = {"counts": trial.counts_valid, "times": trial.times_valid}
    return tuple(kind for kind in KINDS if not stands[kind])


def _failed(trial: TrialSummary, kinds: Sequence[Kind]) -> Iterator[GateResult]:
    """Yield the gates that a trial failed; where it lost its counts, those that protect them."""
    for gate in trial.gates:
        if gate.outcome == "failed" and kinds[0] in gate.protects:
            yield gate


def _most_frequent(trials: Sequence[TrialSummary], kinds: Sequence[Kind]) -> str:
    """Return the gate that most trials failed; of equally frequent ones the first, which are causes."""
    counted: dict[str, int] = {}
    for trial in trials:
        for gate in _failed(trial, kinds):
            counted[gate.name] = counted.get(gate.name, 0) + 1
    return max(counted, key=counted.__getitem__)
