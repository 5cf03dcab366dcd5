"""A gate of validity: one condition, with its figure, its bound and what a failure means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gate:
    """One condition of validity. `figure` and `bound` are for people; `reason` says what a failure means.

    A gate that is not applicable stops nothing; its figure says why it is not.
    """

    name: str
    figure: str
    bound: str
    passed: bool
    reason: str
    applicable: bool = True


def not_applicable(name: str, because: str) -> Gate:
    """Return a gate that stops nothing, because it cannot be judged."""
    said = f"not applicable, because {because}"
    return Gate(name, said, "none", True, said, applicable=False)
