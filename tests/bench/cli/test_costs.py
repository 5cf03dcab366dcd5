"""`sidecar-bench cost`: what each topology costs in the long run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli.app import cli
from bench.errors import UserError
from reports.cost.monthly import expected_traffic
from reports.cost.prices import DEFAULT
from reports.render import costs
from scenarios.reading import document
from scenarios.reading.document import ScenarioError


def said(*arguments: str) -> str:
    ended = CliRunner(env={"COLUMNS": "200"}).invoke(cli, ["cost", *arguments], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_each_topology_has_its_price() -> None:
    output = said("quick")
    assert "2 × 1 vCPU, 2 GB (app)" in output
    assert "1 × 1 vCPU, 2 GB (Redis)" in output
    # 2 × (1 × 0.04048 + 2 × 0.004445) × 730
    assert "72.08" in output
    assert "in the long run" in output


def test_a_file_of_prices_takes_the_place_of_the_built_in_ones(tmp_path: Path) -> None:
    dear = tmp_path / "prices.yaml"
    dear.write_text(DEFAULT.read_text().replace("vcpu_hour: 0.04048", "vcpu_hour: 4.048"))
    assert "72.08" not in said("quick", "--prices", str(dear))
    assert "72.08" in said("quick")


def test_a_field_changes_what_is_priced() -> None:
    assert "8 × 1 vCPU, 2 GB (app)" in said("quick", "--topology", "sidecar", "--replicas", "8")


def test_a_scenario_and_a_run_at_once_are_refused() -> None:
    with pytest.raises(UserError, match="--run uses the scenario of the run"):
        said("quick", "--run", "last")


def test_what_is_not_computed_is_not_guessed_and_the_reason_is_given(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"app's memory; run the scenario with a steady start, then"):
        said("quick", "--set", "cache.l1=1s")


def test_an_hours_ttl_makes_few_calls_and_both_fit_a_quota_of_5000() -> None:
    """400 paths, Zipf(1.0), 300/s: 2,383 calls an hour with six sidecars, 400 with one Redis."""
    output = said("quick", "--ttl", "1h", "--replicas", "6", "--rate", "300")
    found = [int(calls.replace(",", "")) for calls in re.findall(r"([\d,]+)$", output, re.MULTILINE)][:2]
    assert found == pytest.approx([2383, 400], rel=0.05)
    assert "the quota of 5,000: 48%" in output
    assert "the quota of 5,000: 8%" in output
    assert "the number of paths (400) and their skew (Zipf(1))" in output


def test_the_scenarios_own_quota_is_among_them() -> None:
    assert "the quota of 777: " in said("quick", "--set", "upstream.rate_limit=777")


def test_a_redis_without_room_for_all_paths_makes_many_more_calls() -> None:
    """20,000 paths in four sidecars: 75,700 calls an hour without a limit, 1.6 million in 16 MB each."""
    large = ("quick", "--topology", "sidecar", "--replicas", "4", "--ttl", "1h", "--rate", "1500")
    paths = ("--set", "workload.keys.count=20000")
    limited, roomy = (said(*large, *paths, "--set", f"cache.maxmemory={size}") for size in ("64MB", "4GB"))
    calls = [
        int(re.findall(r"([\d,]+)$", output, re.MULTILINE)[0].replace(",", "")) for output in (limited, roomy)
    ]
    assert calls == pytest.approx([1_650_000, 75_721], rel=0.03)
    assert "evicts" in limited
    assert "evicts" not in roomy


def test_a_cold_run_whose_long_run_nothing_computes_has_no_cost(tmp_path: Path) -> None:
    fields = {"upstream.error_ratio": 0.1}
    scenario = document.load("quick", fields)
    assert costs.of_scenario(scenario) == {}
    (first, _) = costs.unknown(scenario, {}, measured=True)
    assert "schedule.start: steady" in first


def test_the_round_trip_can_be_given() -> None:
    assert "72.08" in said("quick", "--rtt", "0.8")


def test_a_task_larger_than_fargates_is_said_to_be() -> None:
    with pytest.raises(ScenarioError, match=r"resources\.cpus"):
        said("quick", "--set", "resources.cpus=32")


def test_a_sidecar_makes_more_calls_than_a_shared_cache_in_the_long_run() -> None:
    sidecar, separate = (
        expected_traffic(document.load("quick", {"topology": topology}).variants[0])
        for topology in ("sidecar", "separate")
    )
    assert sidecar is not None
    assert separate is not None
    assert sidecar.calls_per_request > separate.calls_per_request
    # Jung, Berger and Balakrishnan: Zipf(1.0) over 1,000 keys at 50/s, T = 60 s, R = 2, L = 0
    fields = {
        "topology": "sidecar", "workload.rate": 50, "workload.keys.count": 1000, "cache.ttl": 60,
        "upstream.latency_ms": 0,
    }  # fmt: skip
    known = expected_traffic(document.load("quick", fields).variants[0])
    assert known is not None
    assert known.hit_ratio == pytest.approx(0.7611, abs=5e-5)


def test_a_baseline_without_a_cache_asks_upstream_for_everything() -> None:
    none = costs.of_scenario(document.load("quick", {"topology": "none"}))["none"]
    assert (none.hit_ratio, none.calls_per_request) == (0.0, 1.0)
