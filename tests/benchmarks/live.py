"""Many short live runs with known answers: `python tests/benchmarks/live.py run FOLDER`, then `tell FOLDER`.

10 runs in which one arm's link is 0.5 ms longer, and 40 A/A comparisons of one topology under two names, in
the quick form of the self-test. `tell` prints the figures of docs/trust.md from what is stored.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

WORDS = ("better", "worse", "equivalent", "undecided")
COMMAND = str(Path(sys.executable).with_name("sidecar-bench"))
FORM = (
    "--stack", "processes", "--topology", "separate", "--set", "schedule.warmup=0.5",
    "--set", "schedule.attempts=3",
)  # fmt: skip
AA = (
    "--set", "label=[a,b]", "--blocks", "4", "--duration", "3", "--rate", "150",
    "--set", "schedule.most_blocks=4", "--set", "schedule.budget=50",
)  # fmt: skip
# A low rate: under load a longer hop also makes requests wait for one another, and hits differ by more.
DELAY = (
    "--rtt", "0.3,0.8", "--blocks", "8", "--duration", "5", "--rate", "60", "--ttl", "10",
    "--set", "schedule.most_blocks=8", "--set", "schedule.budget=130",
)  # fmt: skip


def run(root: Path) -> None:
    """Run what is not there yet: first those with a delay."""
    for number in sorted(range(50), key=lambda number: number % 5 != 4):
        delayed = number % 5 == 4
        folder = root / ("delay" if delayed else "aa") / f"{number:02}"
        if not list(folder.glob("*/summary.json")):
            changed = DELAY if delayed else AA
            command = [COMMAND, "run", "quick", *FORM, *changed, "--seed", str(1000 + number)]
            subprocess.run([*command, "--results", str(folder)], check=False)


def summaries(root: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(root.glob(f"{kind}/*/*/summary.json"))]


def tell(root: Path) -> None:
    """Print what came out."""
    aa, delays = summaries(root, "aa"), summaries(root, "delay")
    decided(aa)
    for summary in delays:
        found(summary)
    trials = [trial for summary in [*aa, *delays] for trial in summary["trials"]]
    z = [trial["z"] for trial in trials if trial["valid"] and trial["z"] is not None]
    refused = Counter(reason.split(" (")[0][:40] for trial in trials for reason in trial["reasons"])
    print(f"{len(z)} of {len(trials)} trials valid; refused: {refused.most_common(8)}")
    if len(z) > 1:
        print(f"z of upstream calls: mean {statistics.mean(z):+.2f}, sd {statistics.stdev(z):.2f}")


def decided(aa: list[dict[str, Any]]) -> None:
    """Print what the A/A comparisons said of each metric."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for summary in aa:
        for one in summary["comparisons"]:
            counts[one["metric"]][one["decision"]] += 1
    print(f"{len(aa)} A/A comparisons\n| metric | {' | '.join(WORDS)} |\n|---|---|---|---|---|")
    for metric, of in counts.items():
        print(f"| {metric} | {' | '.join(str(of[word]) for word in WORDS)} |")
    total = sum(counts.values(), Counter[str]())
    print(
        f"{dict(total)}: {(total['better'] + total['worse']) / max(total.total(), 1):.2%} find a difference"
    )


def found(summary: dict[str, Any]) -> None:
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


if __name__ == "__main__":
    {"run": run, "tell": tell}[sys.argv[1]](Path(sys.argv[2]))
