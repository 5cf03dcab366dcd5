"""Each request of stored trials beside the exact simulation of the same requests.

    PYTHONPATH=tests/support python tests/benchmarks/exact.py RESULTS/RUN…

Exit code 1: more than 1% of a trial's requests had another outcome.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from exact_trials import compare

MOST: Final = 0.01


def main(folders: list[str]) -> int:
    """Print a line a trial; return 1 where one differs in more than it may."""
    worst = 0.0
    print(
        "| trial | requests | other outcome | share | hits seen | hits simulated |\n|---|---|---|---|---|---|"
    )
    for folder in folders:
        for one in compare(Path(folder)):
            worst = max(worst, one.share)
            print(
                f"| {one.trial} | {one.requests:,} | {one.differ} | {one.share:.2%} | {one.hits[0]:,} "
                f"| {one.hits[1]:,} |"
            )
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
