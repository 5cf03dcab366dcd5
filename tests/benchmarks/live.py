"""Many short live runs with known answers: `python tests/benchmarks/live.py run FOLDER`, then `tell FOLDER`.

10 runs in which one arm's link is 0.5 ms longer, and 40 A/A comparisons of one topology under two names, with
the blocks, trials and rate of the self-test's quick form: every second of sidecars. `tell` prints the figures
of docs/trust.md from what is stored. Each command is one that a user could give; `most_blocks`, equal to
`blocks`, keeps their number what it is if the scenario should allow more one day.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORDS = ("better", "worse", "equivalent", "undecided")
# Fewer paired blocks decide nothing.
LEAST_BLOCKS = 3
COMMAND = str(Path(sys.executable).with_name("sidecar-bench"))
FORM = ("--stack", "processes", "--set", "schedule.warmup=0.5", "--set", "schedule.attempts=3")
AA = (
    "--set", "label=[a,b]", "--blocks", "4", "--set", "schedule.most_blocks=4", "--duration", "3",
    "--rate", "150", "--set", "schedule.budget=50",
)  # fmt: skip
# A low rate: under load a longer hop also makes requests wait for one another, and hits differ by more.
DELAY = (
    "--rtt", "0.3,0.8", "--blocks", "8", "--set", "schedule.most_blocks=8", "--duration", "5",
    "--rate", "60", "--ttl", "10", "--set", "schedule.budget=130",
)  # fmt: skip

Run = dict[str, Any]


def commands(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each run's folder and command: first those with a delay."""
    for number in sorted(range(50), key=lambda number: number % 5 != 4):
        delayed = number % 5 == 4
        topology = "sidecar" if number % 2 and not delayed else "separate"
        folder = root / ("delay" if delayed else "aa") / f"{number:02}"
        command = [COMMAND, "run", "quick", *FORM, "--topology", topology, *(DELAY if delayed else AA)]
        yield folder, [*command, "--seed", str(1000 + number), "--results", str(folder)]


def run(root: Path) -> None:
    """Run what is not there yet."""
    for folder, command in commands(root):
        if not list(folder.glob("*/summary.json")):
            subprocess.run(command, check=False)


def summaries(root: Path, kind: str) -> list[Run]:
    return [json.loads(path.read_text()) for path in sorted(root.glob(f"{kind}/*/*/summary.json"))]


def tell(root: Path) -> None:
    """Print what came out."""
    aa, delays = summaries(root, "aa"), summaries(root, "delay")
    decided(aa)
    for summary in delays:
        found(summary)
    scores([*aa, *delays])


def topology_of(summary: Run) -> str:
    """Return the topology that all variants of a run have."""
    (topology,) = {variant["topology"] for variant in summary["variants"]}
    return str(topology)


def decided(aa: list[Run]) -> None:
    """Print what the A/A comparisons said of each metric, and how many could say anything."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    able: Counter[str] = Counter()
    for summary in aa:
        for one in summary["comparisons"]:
            counts[one["metric"]][one["decision"]] += 1
            able[one["metric"]] += one["blocks"] >= LEAST_BLOCKS
    of = Counter(map(topology_of, aa))
    shared = ", ".join(f"{count} of {topology}" for topology, count in sorted(of.items()))
    print(f"{len(aa)} A/A comparisons: {shared}")
    print(f"| metric | {' | '.join(WORDS)} | could decide |\n|---|---|---|---|---|---|")
    for metric, words in counts.items():
        print(f"| {metric} | {' | '.join(str(words[word]) for word in WORDS)} | {able[metric]} |")
    total = sum(counts.values(), Counter[str]())
    different = total["better"] + total["worse"]
    print(
        f"{dict(total)}: {able.total()} of {total.total()} decisions could be made ({LEAST_BLOCKS} paired "
        f"blocks); {different} of these, {different / max(able.total(), 1):.2%}, find a difference"
    )


def found(summary: Run) -> None:
    """Print whether the longer link was found."""
    one = next(one for one in summary["comparisons"] if one["metric"] == "hit_p50_ms")
    rtts = [variant["rtt_achieved_ms"] for variant in summary["variants"]]
    if one["ci95"] is None or None in rtts:
        print(f"delay: too few valid trials ({one['decision']})")
        return
    (low, high), true = one["ci95"], rtts[1] - rtts[0]
    said = ["found" if low > 0 else "NOT FOUND", "covers" if low <= true <= high else "DOES NOT COVER"]
    print(
        f"delay: {one['difference']:.3f} [{low:.3f}, {high:.3f}] ms, achieved {true:.3f}: {', '.join(said)}"
    )


def scores(runs: list[Run]) -> None:
    """Print the trials that were valid, why others were not, and the z-scores by topology.

    The trials of a block meet the same requests, and their scores go together. So one of each block is told
    apart: only these are independent of one another.
    """
    trials = [trial for summary in runs for trial in summary["trials"]]
    refused = Counter(reason.split(" (")[0][:40] for trial in trials for reason in trial["reasons"])
    valid = sum(trial["valid"] for trial in trials)
    print(f"{valid} of {len(trials)} trials valid; refused: {refused.most_common(8)}")
    print("| topology | z of upstream calls | trials | mean | sd |\n|---|---|---|---|---|")
    for topologies in (("separate",), ("sidecar",), ("separate", "sidecar")):
        chosen = [scored(summary) for summary in runs if topology_of(summary) in topologies]
        every = [z for blocks in chosen for of_block in blocks.values() for z in of_block]
        single = [of_block[0] for blocks in chosen for of_block in blocks.values()]
        name = topologies[0] if len(topologies) == 1 else "both"
        print(f"| {name} | all valid trials | {spread(every)} |\n| {name} | one a block | {spread(single)} |")


def scored(summary: Run) -> dict[int, list[float]]:
    """Return the z-scores of a run's valid trials by block."""
    blocks: dict[int, list[float]] = defaultdict(list)
    for trial in summary["trials"]:
        if trial["valid"] and trial["z"] is not None:
            blocks[trial["block"]].append(trial["z"])
    return blocks


def spread(z: list[float]) -> str:
    """Return three cells: how many, their mean and standard deviation."""
    if len(z) < 2:
        return f"{len(z)} | |"
    return f"{len(z)} | {statistics.mean(z):+.2f} | {statistics.stdev(z):.2f}"


if __name__ == "__main__":
    {"run": run, "tell": tell}[sys.argv[1]](Path(sys.argv[2]))
