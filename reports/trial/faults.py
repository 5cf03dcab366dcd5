"""Gates for faults, and for outcomes that a trial's variant cannot have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports.stored.records import Fault, TrialRecord
from reports.trial.gate import Gate

if TYPE_CHECKING:
    from scenarios.model import Variant


def of_outcomes(record: TrialRecord, variant: Variant | None) -> Iterator[Gate]:
    """Check for outcomes that the variant cannot have, such as hits without a cache."""
    if variant is None:
        return
    counted = Counter(record.load.outcomes) | Counter(record.app.outcomes if record.app else {})
    cannot = variant.impossible_outcomes if record.deployed else variant.layout.impossible_outcomes
    found = {word: counted[word] for word in cannot if counted[word]}
    each = ", ".join(f"{count} × {word}" for word, count in found.items())
    yield Gate(
        "possible outcomes",
        each or "all outcomes are possible",
        f"no {', '.join(cannot)}" if cannot else "any",
        not found,
        f"the variant {variant.id} cannot have these outcomes: {each}; the trial did not measure "
        "what the scenario describes",
    )


def of_fault(fault: Fault) -> Gate:
    """Refuse a trial in which something failed."""
    last = next((words.splitlines()[-1] for words in fault.last_words.values() if words), "")
    return Gate(
        "faults",
        fault.reason,
        "none",
        False,
        f"while {fault.stage}, {fault.reason}" + (f" (last in its log: {last})" if last else ""),
    )
