"""The many live runs behind docs/trust.md: what is run, and what is told of what is stored."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from reports.statistics import sequential
from scenarios.reading import document

FILE = Path(__file__).parents[1] / "benchmarks" / "live.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("live", FILE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


live = module()
COMMANDS: dict[Path, list[str]] = dict(live.commands(Path("somewhere")))


def kind(folder: Path) -> str:
    return folder.parent.name


def after(command: list[str], option: str) -> list[str]:
    return [command[place + 1] for place, word in enumerate(command) if word == option]


def test_there_are_40_comparisons_of_the_same_and_10_of_a_longer_link_the_latter_first() -> None:
    assert Counter(map(kind, COMMANDS)) == {"aa": 40, "delay": 10}
    assert {kind(folder) for folder in list(COMMANDS)[:10]} == {"delay"}


def test_every_second_a_a_run_is_of_sidecars() -> None:
    aa = {
        folder.name: after(command, "--topology")
        for folder, command in COMMANDS.items()
        if kind(folder) == "aa"
    }
    topologies = [topology for _, (topology,) in sorted(aa.items())]
    assert Counter(topologies) == {"separate": 20, "sidecar": 20}
    delays = [after(command, "--topology") for folder, command in COMMANDS.items() if kind(folder) == "delay"]
    assert delays == [["separate"]] * 10, "a sidecar has no link"


def test_each_run_has_requests_of_its_own() -> None:
    seeds = {int(after(command, "--seed")[0]) for command in COMMANDS.values()}
    assert seeds == set(range(1000, 1050))


@pytest.mark.parametrize("scenarios_own", [None, 20])
def test_the_number_of_blocks_stays_what_it_is_whatever_the_scenario_says(scenarios_own: int | None) -> None:
    for command in COMMANDS.values():
        (blocks,) = after(command, "--blocks")
        stated = dict(document.parse_assignment(text) for text in after(command, "--set"))
        fields = {"schedule.most_blocks": scenarios_own, "schedule.blocks": int(blocks)} | stated
        schedule = document.load("quick", fields | {"topology": "separate"}).schedule
        assert sequential.looks(schedule.blocks, schedule.most_blocks) == (int(blocks),)


def stored(
    root: Path, kind: str, number: int, topology: str, trials: list[dict[str, Any]], blocks: int
) -> None:
    folder = root / kind / f"{number:02}" / "a-run"
    folder.mkdir(parents=True)
    decision = "equivalent" if blocks >= 3 else "undecided"
    compared = {
        "metric": "hit_p50_ms", "decision": decision, "blocks": blocks, "difference": 0.5, "ci95": [0.4, 0.6],
    }  # fmt: skip
    variants = [
        {"id": f"{topology}-{name}", "topology": topology, "rtt_achieved_ms": rtt}
        for name, rtt in (("a", 0.3), ("b", 0.8))
    ]
    summary = {"comparisons": [compared], "variants": variants, "trials": trials}
    (folder / "summary.json").write_text(json.dumps(summary))


def trial(variant: str, block: int, z: float, *, valid: bool = True) -> dict[str, Any]:
    reasons = [] if valid else ["requests were sent late (3 ms)"]
    return {"variant": variant, "block": block, "z": z, "valid": valid, "reasons": reasons}


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    separate = [
        trial("separate-a", 1, 0.5), trial("separate-b", 1, 0.7), trial("separate-a", 2, -1.5, valid=False),
        trial("separate-b", 2, -0.5),
    ]  # fmt: skip
    sidecar = [trial("sidecar-a", block, z) for block, z in ((1, 1.0), (2, 2.0), (3, 3.0))]
    stored(tmp_path, "aa", 0, "separate", separate, 1)
    stored(tmp_path, "aa", 1, "sidecar", sidecar, 3)
    stored(tmp_path, "delay", 4, "separate", [trial("separate-a", 1, 0.0)], 8)
    live.tell(tmp_path)
    return capsys.readouterr().out


def test_it_tells_how_many_comparisons_could_decide_at_all(told: str) -> None:
    assert "2 A/A comparisons: 1 of separate, 1 of sidecar" in told
    assert "| hit_p50_ms | 0 | 0 | 1 | 1 | 1 |" in told
    assert "1 of 2 decisions could be made (3 paired blocks); 0 of these, 0.00%, find a difference" in told


def test_it_tells_valid_trials_and_their_scores_by_topology(told: str) -> None:
    assert "7 of 8 trials valid" in told
    assert "| separate | all valid trials | 4 | +0.17 | 0.54 |" in told
    assert "| sidecar | all valid trials | 3 | +2.00 | 1.00 |" in told
    assert "| both | all valid trials | 7 | +0.96 | 1.20 |" in told


def test_of_each_block_one_trial_is_told_apart(told: str) -> None:
    assert "| separate | one a block | 3 | +0.00 | 0.50 |" in told
    assert "| both | one a block | 6 | +1.00 | 1.30 |" in told


def test_it_tells_what_was_found_of_the_longer_link(told: str) -> None:
    assert "delay: 0.500 [0.400, 0.600] ms, achieved 0.500: found, covers" in told
