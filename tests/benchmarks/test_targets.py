"""The same services, deployed by the bench and given to it as targets: it must find the same of them.

Rounds alternate between the two, so that the machine's moods meet both. The warm-up is long enough for
the cold start of deployed variants to fade: targets have none.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from compose.local.stack import ProcessDeployment, ProcessStack
from scenarios.reading import document

COMMAND = Path(sys.executable).with_name("sidecar-bench")
ROUNDS = int(os.environ.get("BENCHMARK_BLOCKS", "5"))
WARMUP_S = 6.0
FIELDS: dict[str, object] = {"cache.ttl": 3, "upstream.latency_ms": 20}
TRAFFIC = (
    "--blocks", "1", "--duration", "9s", "--rate", "250", "--set", f"schedule.warmup={WARMUP_S:g}",
    "--set", "workload.keys.count=100",
)  # fmt: skip
NAMES = ("sidecar", "separate")
HIT_RATIO_OFF = 0.02
MEDIAN_OFF = 0.10
# 3: no trial may be valid on a busy machine; what is compared here is compared all the same.
ENDED = (0, 3)

pytestmark = pytest.mark.timeout(2400)


@dataclass(frozen=True)
class Found:
    """What one trial's requests show after the warm-up. Times in ms."""

    requests: int
    hit_ratio: float
    median: float
    hit_median: float


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ProcessDeployment]]:
    logs = tmp_path_factory.mktemp("services")
    stack = ProcessStack(f"benchmark-targets-{os.getpid()}")
    variants = {variant.id: variant for variant in document.load("quick", FIELDS).variants}
    with (
        stack.deploy(variants["sidecar"], seed=1, folder=logs) as sidecar,
        stack.deploy(variants["separate"], seed=1, folder=logs) as separate,
    ):
        yield {"sidecar": sidecar, "separate": separate}


def found(folder: Path, *arguments: str) -> dict[str, Found]:
    """Run one block, and return what it found of each variant in its last attempt."""
    ended = subprocess.run(
        [str(COMMAND), "run", "quick", *TRAFFIC, *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode in ENDED, ended.stderr
    run = max(folder.glob("results/*"))
    return {name: _of(max(run.glob(f"trials/b01-{name}*"))) for name in NAMES}


def _of(trial: Path) -> Found:
    rows = pd.read_parquet(trial / "requests.parquet")
    rows = rows[rows["intended_us"] >= WARMUP_S * 1e6]
    latency_ms = (rows["end_us"] - rows["intended_us"]) / 1000
    hit = rows["outcome"] == "hit"
    return Found(len(rows), float(hit.mean()), float(latency_ms.median()), float(latency_ms[hit].median()))


def test_targets_show_what_the_benchs_own_run_shows(
    services: dict[str, ProcessDeployment], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aim = [part for name in NAMES for part in ("--target", ",".join(services[name].targets), "--label", name)]
    own_settings = ["--stack", "processes"]
    own_settings += [part for name, value in FIELDS.items() for part in ("--set", f"{name}={value}")]
    pairs: dict[str, list[tuple[Found, Found]]] = {name: [] for name in NAMES}
    for number in range(1, ROUNDS + 1):
        own_folder, target_folder = (tmp_path / f"{number}-{which}" for which in ("own", "targets"))
        for folder in (own_folder, target_folder):
            folder.mkdir()
        own = found(own_folder, *own_settings, "--seed", str(number))
        aimed = found(target_folder, *aim, "--seed", str(number))
        for name in NAMES:
            pairs[name].append((own[name], aimed[name]))
    lines = [
        "| variant | hit ratio, own | targets | median, targets / own | of hits |",
        "|---|---|---|---|---|",
    ]
    off: list[str] = []
    for name, each in pairs.items():
        # The same requests were laid out for both.
        assert all(own.requests == aimed.requests for own, aimed in each)
        ratios = [statistics.fmean(of.hit_ratio for of in side) for side in zip(*each, strict=True)]
        median = statistics.median(aimed.median / own.median for own, aimed in each)
        of_hits = statistics.median(aimed.hit_median / own.hit_median for own, aimed in each)
        lines.append(f"| {name} | {ratios[0]:.1%} | {ratios[1]:.1%} | {median:.3f} | {of_hits:.3f} |")
        if abs(ratios[1] - ratios[0]) > HIT_RATIO_OFF:
            off.append(f"{name}: hit ratio")
        off += [f"{name}: {what}" for what, ratio in (("median", median), ("median of hits", of_hits))
                if abs(ratio - 1) > MEDIAN_OFF]  # fmt: skip
    with capsys.disabled():
        print("", *lines, sep="\n")
    assert off == []
