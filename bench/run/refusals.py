"""When trial after trial is refused for the same reason: what a run gives up, and when it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from reports.trial.gate import Gate
from scenarios.metrics import KINDS, Kind

# So many attempts in a row, all refused by one gate, are no bad luck of single trials.
IN_A_ROW: Final = 6
# Fewer blocks decide nothing (reports.inference.effects, which is too heavy to import while trials run).
LEAST_BLOCKS: Final = 3
_WHAT: Final = {"counts": "no valid hit ratios or calls", "times": "no valid latencies"}


class Refusals:
    """The last attempts of a run, and what all of them were refused for."""

    def __init__(self) -> None:
        self._last: deque[Sequence[Gate]] = deque(maxlen=IN_A_ROW)

    def add(self, judged: Sequence[Gate]) -> None:
        """Take note of an attempt."""
        self._last.append(judged)

    def gate(self, kind: Kind) -> Gate | None:
        """Return the gate by which the last attempts all lost their counts, or their times."""
        if len(self._last) < IN_A_ROW:
            return None
        names = [{gate.name for gate in judged if gate.refuses(kind)} for judged in self._last]
        shared = set.intersection(*names)
        return next((gate for gate in self._last[-1] if gate.name in shared), None)

    @property
    def hopeless(self) -> bool:
        """Whether repeating a trial has no prospect: counts or times are refused again and again."""
        return next(self._gates(), None) is not None

    @property
    def nothing_stands(self) -> bool:
        """Whether both are."""
        return len(list(self._gates())) == len(KINDS)

    def ends(self, blocks: int) -> bool:
        """Whether the run ends after so many blocks: what stands can be decided, and nothing else ever."""
        return self.nothing_stands or (self.hopeless and blocks >= LEAST_BLOCKS)

    @property
    def reason(self) -> str:
        """Why the run ends, in a clause."""
        lost = [_WHAT[kind] for kind in KINDS if self.gate(kind) is not None]
        what = "nothing valid" if self.nothing_stands else lost[0]
        return f"{what} in {IN_A_ROW} attempts in a row ({next(self._gates()).reason})"

    def remedy(self, run: Path) -> str:
        """Say what to do, and how to go on then."""
        remedies = dict.fromkeys(gate.remedy for gate in self._gates() if gate.remedy)
        return " ".join([*remedies, f"Then resume with: sidecar-bench run --resume {run}"])

    def _gates(self) -> Iterator[Gate]:
        for kind in KINDS:
            gate = self.gate(kind)
            if gate is not None:
                yield gate
