"""Both starts beside the long run, live, over the same seeds: TTLs of 2 s, 60 s and 1 h, both topologies.

    python tests/benchmarks/steady.py run FOLDER [TTL_S TOPOLOGY]    60 trials a cell, some 6 minutes each
    python tests/benchmarks/steady.py tell FOLDER                    the table of what is stored

The workload is the one of the question that began it: 400 paths (Zipf 1.0), 300 requests/s, six replicas.
Trials are short: what a steady start is worth does not depend on their length. `run` goes on where it was
ended, and takes one cell where one is named. `calls_per_hour.py` simulates the same.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reports import theory
from scenarios.model import Variant
from scenarios.reading.document import load
from scenarios.schedule import Start

CELLS: Final = tuple(itertools.product((2.0, 60.0, 3600.0), ("separate", "sidecar")))
TRIALS: Final = 60
LIVE_S: Final = 2.0
FIRST_SEED: Final = 7000
COMMAND: Final = str(Path(sys.executable).with_name("sidecar-bench"))
STARTS: Final[tuple[Start, ...]] = ("steady", "cold")


@dataclass(frozen=True)
class Cell:
    """One TTL in one topology, and the hit ratios of its trials (points) by how they started."""

    ttl_s: float
    topology: str
    true: float
    steady: list[float]
    cold: list[float]

    def row(self) -> str:
        """Return the cell as a row of a table."""
        starts = " | ".join(_of(ratios, self.true) for ratios in (self.steady, self.cold))
        return f"| {self.ttl_s:g} s | {self.topology} | {self.true:.2f} | {starts} |"


def _of(ratios: list[float], true: float) -> str:
    if len(ratios) < 2:
        return f"{len(ratios)} trials"
    error = statistics.stdev(ratios) / len(ratios) ** 0.5
    mean = statistics.mean(ratios)
    return f"{mean:.2f} ± {error:.2f} ({mean - true:+.2f}) of {len(ratios)}"


def variant(ttl_s: float, topology: str) -> Variant:
    """Return the variant of a cell."""
    changed = {
        "topology": topology, "replicas": 6, "workload.rate": 300, "cache.ttl": ttl_s, "link.rtt_ms": 0,
    }  # fmt: skip
    return load("quick", changed).variants[0]


def true_hit_ratio(of: Variant) -> float:
    """Return the stationary formula's hit ratio (points)."""
    steady = theory.steady_of(of)
    assert steady is not None
    return 100 * steady.hit_ratio


def run(root: Path, cells: Sequence[tuple[float, str]]) -> None:
    """Run the live trials of some cells, of both starts, where they are not there yet."""
    for (ttl_s, topology), word in itertools.product(cells, STARTS):
        folder = root / f"{ttl_s:g}-{topology}-{word}"
        if not list(folder.glob("*/summary.json")):
            command = [
                COMMAND, "run", "quick", "--stack", "processes", "--topology", topology,
                "--ttl", f"{ttl_s:g}", "--replicas", "6", "--rate", "300", "--rtt", "0",
                "--duration", f"{LIVE_S:g}",
                "--blocks", str(TRIALS), "--seed", str(FIRST_SEED), "--results", str(folder),
                "--set", "schedule.warmup=0", "--set", f"schedule.start={word}",
                "--set", f"schedule.most_blocks={TRIALS}",
            ]  # fmt: skip
            subprocess.run(command, check=False)


def tell(root: Path) -> Iterator[Cell]:
    """Yield all cells, from trials whose counts agree."""
    for ttl_s, topology in CELLS:
        steady, cold = (list(_ratios(root / f"{ttl_s:g}-{topology}-{word}")) for word in STARTS)
        yield Cell(ttl_s, topology, true_hit_ratio(variant(ttl_s, topology)), steady, cold)


def _ratios(folder: Path) -> Iterator[float]:
    for path in folder.glob("*/summary.json"):
        for trial in json.loads(path.read_text())["trials"]:
            if trial.get("counts_valid", trial["valid"]) and trial["requests"]:
                yield 100 * trial["hits"] / trial["requests"]


def main(arguments: list[str]) -> int:
    """Print the table; return 1 where a steady start's mean is more than half a point off."""
    root = Path(arguments[1])
    if arguments[0] == "run":
        run(root, [(float(arguments[2]), arguments[3])] if arguments[2:] else CELLS)
    cells = list(tell(root))
    print("| TTL | topology | long run | steady start | cold start |\n|---|---|---|---|---|")
    for cell in cells:
        print(cell.row())
    return int(
        any(len(one.steady) > 1 and abs(statistics.mean(one.steady) - one.true) > 0.5 for one in cells)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
