"""Mutation testing of one module: how many small changes to it the tests notice.

`python tests/support/mutants.py SAMPLE MODULE TESTS…` runs cosmic-ray (`uv tool install cosmic-ray`) on a
random sample of the module's mutants, always the same one, and prints those that survive. It changes the
module in place, so run it in a clone of its own. docs/mutation.md has the figures.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

SEED = 18


def sampled(database: Path, size: int) -> int:
    """Keep a random sample of the mutants, by their places, and return how many there were."""
    with sqlite3.connect(database) as rows:
        place = "start_pos_row, start_pos_col, operator_name, occurrence"
        ids = [one for (one,) in rows.execute(f"select job_id from mutation_specs order by {place}")]
        kept = set(random.Random(SEED).sample(ids, min(size, len(ids))))
        for table in ("mutation_specs", "work_items"):
            left_out = [(one,) for one in ids if one not in kept]
            rows.executemany(f"delete from {table} where job_id = ?", left_out)
    return len(ids)


def survivors(database: Path) -> list[str]:
    """Return the changes that no test noticed, and the share of all in the last line."""
    with sqlite3.connect(database) as rows:
        found = list(rows.execute("select test_outcome, diff from work_results"))
    alive = [diff for outcome, diff in found if outcome == "SURVIVED"]
    return [*alive, f"{len(alive)} of {len(found)} survive ({len(alive) / max(len(found), 1):.0%})"]


def main(size: int, module: str, tests: list[str]) -> None:
    """Run a module's tests against a sample of its mutants."""
    command = f"{sys.executable} -m pytest -q -x -p no:cacheprovider {' '.join(tests)}"
    with tempfile.TemporaryDirectory() as folder:
        settings, database = Path(folder, "settings.toml"), Path(folder, "mutants.sqlite")
        settings.write_text(
            f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = 60.0\nexcluded-modules = []\n'
            f'test-command = "{command}"\n[cosmic-ray.distributor]\nname = "local"\n'
        )
        subprocess.run(["cosmic-ray", "init", settings, database], check=True)
        print(f"{sampled(database, size)} mutants, of which {size} are tried")
        subprocess.run(["cosmic-ray", "exec", settings, database], check=True)
        print("\n".join(survivors(database)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
