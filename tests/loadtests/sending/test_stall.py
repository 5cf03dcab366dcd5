"""No coordinated omission: a server's stall is charged to every request that was due meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from servers import get, serving

from loadtests.order import Order
from loadtests.upstream import Stub, StubSettings
from scenarios.model import Workload

ROOT = Path(__file__).parents[3]
RATE = 500
STALL_S = 2.0
BEFORE_S = 1.5


@pytest.mark.slow
def test_a_stall_is_seen_at_its_full_length(tmp_path: Path) -> None:
    with serving(Stub(StubSettings(latency_ms=0))) as url:
        rows, began_s, ended_s = stalled_trial(url, tmp_path)
    due_s = rows["intended_us"].to_numpy() / 1e6
    truth_s = np.where((due_s >= began_s) & (due_s < ended_s), ended_s - due_s, 0.0)
    seen_s = ((rows["end_us"] - rows["intended_us"]) / 1e6).to_numpy()
    assert ended_s - began_s == pytest.approx(STALL_S, abs=0.2), "the stall was as long as it should be"
    assert len(rows) == pytest.approx(RATE * 6, rel=0.1)
    assert seen_s.max() == pytest.approx(truth_s.max(), rel=0.05)
    assert np.quantile(seen_s, 0.999) == pytest.approx(np.quantile(truth_s, 0.999), rel=0.05)
    # Nobody waited to send: what is late is late because of the server.
    assert np.quantile(rows["sent_us"] - rows["intended_us"], 0.5) < 5000


def stalled_trial(url: str, folder: Path) -> tuple[pd.DataFrame, float, float]:
    """Stall the stub in the middle of a trial; return its rows, and when it stalled on the rows' clock."""
    order = Order(
        targets=(url,), workload=Workload(rate=RATE, users=1500), seed=5, warmup_s=0.5, duration_s=5.5,
        timeout_s=10, rows=folder / "rows.parquet",
    )  # fmt: skip
    (folder / "order.json").write_text(order.model_dump_json())
    with subprocess.Popen(
        [sys.executable, "-m", "loadtests", str(folder / "order.json")],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            origin_s = json.loads(process.stdout.readline())["origin_s"]
            time.sleep(BEFORE_S)
            began_s = switched(url, True)
            time.sleep(STALL_S)
            ended_s = switched(url, False)
            process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    return pd.read_parquet(order.rows), began_s - origin_s, ended_s - origin_s


def switched(url: str, stalled: bool) -> float:
    """Switch the stall on or off; return when the stub did so, by the monotonic clock."""
    before_s = time.perf_counter()
    assert get(url, "/_stub/settings", "PUT", json.dumps({"stalled": stalled}).encode()).status == 200
    return (before_s + time.perf_counter()) / 2
