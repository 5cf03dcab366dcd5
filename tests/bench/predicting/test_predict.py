"""The command, as a user gives it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from bench.cli.app import cli
from bench.errors import UserError
from bench.predicting.asking import Options, ask
from reports.prediction import model
from reports.prediction.assemble import predict


def lines(hours: int, each: int, paths: int) -> str:
    """Return a log in Common Log Format: `each` requests an hour, path after path."""
    written = []
    for number in range(hours * each):
        second = number * 3600 // each
        day, rest = divmod(second, 86_400)
        at = f"{14 + day:02}/Mar/2025:{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02} +0000"
        status = 404 if number % 50 == 0 else 200
        written.append(
            f'192.0.2.{number % 9} - - [{at}] "GET /p/{number * 7919 % paths} HTTP/1.1" {status} 1000'
        )
    return "\n".join(written) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text(lines(30, 400, 60))
    return path


def run(*arguments: str) -> Any:
    found = CliRunner().invoke(cli, ["predict", *arguments, "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    written = json.loads(found.output)
    jsonschema.Draft202012Validator(model.schema()).validate(written)
    return written


def test_a_scenario_at_the_rate_and_ttl_of_production() -> None:
    """400 paths, each of them hot: one call a TTL and cache, which is 400 and 2,383 an hour."""
    found = run("quick", "--ttl", "1h", "--replicas", "6", "--rate", "300")
    calls = {point["topology"]: point["upstream_calls_per_hour"]["mean"] for point in found["points"]}
    assert calls["separate"] == pytest.approx(400, abs=6)
    assert calls["sidecar"] == pytest.approx(2383, abs=3)
    assert calls["none"] == pytest.approx(300 * 3600)
    assert "a separate Redis makes 40" in found["answer"]
    assert "sidecars 2,38" in found["answer"]


def test_a_log_with_a_quota_and_deployments(log: Path, tmp_path: Path) -> None:
    found = run(
        "--log", str(log), "--ttl", "30m,1h,2h", "--replicas", "1..4", "--quota", "100/h", "--deploys",
        "2/day", "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert json.loads((tmp_path / "out" / "prediction.json").read_text()) == found
    assert len(found["points"]) == 3 * 4 * 4
    assert (found["own"]["ttl_s"], found["own"]["replicas"]) == (3600.0, 2)
    assert found["traffic"]["requests"] == 12_000
    assert [hour["requests"] for hour in found["hours"]] == [400] * 30
    by_name = {point["id"]: point for point in found["points"]}
    for point in by_name.values():
        assert point["hits"] + point["delayed"] + point["stale"] <= point["requests"] == 12_000
        assert 0 <= point["hit_ratio"] <= 1
        assert point["hours_over_quota"] is not None
    sidecar, separate = by_name[found["own"]["sidecar"]], by_name[found["own"]["separate"]]
    assert sidecar["upstream_calls"] > separate["upstream_calls"]
    assert sum(hour["calls"][separate["id"]] for hour in found["hours"]) == pytest.approx(
        separate["upstream_calls"]
    )
    costs = {each["point"]: each["extra_calls"] for each in found["deployments"]}
    assert costs[separate["id"]] == 0
    assert costs[sidecar["id"]] > 10
    assert found["answer"].startswith("On these 30 h of traffic with 2 replicas and a TTL of 1 h, a separate")
    names = {one["name"] for one in found["assumptions"]}
    assert {"hit_ms.sidecar", "rtt_ms", "upstream_ms", "routing", "negative_ttl_s"} <= names


def test_one_replica_is_one_cache_whatever_the_topology(log: Path) -> None:
    found = run("--log", str(log), "--ttl", "1h", "--replicas", "1")
    calls = {point["topology"]: point["upstream_calls"] for point in found["points"]}
    assert calls["sidecar"] == calls["separate"] == calls["process"]


def test_steady_leaves_the_first_ttl_out(log: Path) -> None:
    found = run("--log", str(log), "--ttl", "2h", "--start", "steady")
    assert found["span"]["requests"] == 28 * 400
    assert found["span"]["not_counted"] == 2 * 400
    assert {point["requests"] for point in found["points"]} == {28 * 400}


def test_answers_that_are_not_kept_are_calls(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    stamp = '192.0.2.1 - - [14/Mar/2025:00:{:02}:00 +0000] "GET /a HTTP/1.1" {} 10'
    statuses = [500, 200, 304, 206, 200, 404, 302, 200]
    path.write_text("\n".join(stamp.format(minute, status) for minute, status in enumerate(statuses)) + "\n")
    found = run("--log", str(path), "--ttl", "3m", "--replicas", "1", "--set", "cache.ttl=1h")
    # 500: a call that is not kept. 200: one that is, for 3 minutes from when it lands, so that 304, 206 and
    # the next 200 are hits. Neither 404 nor 302 is kept, and the last 200 is a call again.
    sidecar = next(point for point in found["points"] if point["topology"] == "sidecar")
    assert (sidecar["upstream_calls"], sidecar["hits"]) == (5, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(), "what traffic"),
        (Options(rate=-1.0), "--rate -1"),
        (Options(rate=1.0, keys=0), "--keys 0"),
        (Options(rate=1.0, skew=9.0), "--skew 9"),
        (Options(rate=1.0, routing="magic"), "--routing magic"),
        (Options(rate=1.0, routing="sticky"), "--routing sticky"),
        (Options(rate=1.0, start="warm"), "--start warm"),
        (Options(rate=1.0, ttl=["0"]), "--ttl 0"),
        (Options(rate=1.0, maxmemory="64MB", memory_total="64MB"), "--memory-total"),
        (Options(log=["x.log"], rate=1.0), "--rate describes"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: Options, said: str) -> None:
    with pytest.raises(UserError, match=said):
        ask(options)


def test_a_log_that_is_too_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    one = '192.0.2.1 - - [14/Mar/2025:00:00:00 +0000] "GET /a HTTP/1.1" 200 10\n'
    path.write_text(one)
    with pytest.raises(UserError, match="one moment"):
        ask(Options(log=[str(path)], ttl=["1m"]))
    path.write_text(one * 3)
    with pytest.raises(UserError, match="the log is"):
        ask(Options(log=[str(path)], ttl=["1h"], start="steady"))


def test_the_answer_holds_where_nothing_changes_places() -> None:
    """At one replica, sidecars make no more calls and have no hop: nothing makes them slower."""
    found = predict(ask(Options(rate=5.0, keys=100, ttl=["1h"], replicas=["1"], rtt="0.5")))
    assert "the mean is lower with sidecars" in found.answer
    places = {crossing.parameter for crossing in found.crossings}
    assert "rtt_ms" not in places


def test_crossings_are_where_the_means_are_equal() -> None:
    found = predict(ask(Options(rate=300.0, keys=400, ttl=["1h"], replicas=["6"])))
    at = {crossing.parameter: crossing.value for crossing in found.crossings}
    for options in (
        Options(rate=300.0, keys=400, ttl=["1h"], replicas=["6"], rtt=f"{at['rtt_ms']}"),
        Options(rate=300.0, keys=400, ttl=[f"{at['ttl_s']}s"], replicas=["6"]),
    ):
        again = predict(ask(options))
        sidecar, separate = (again.point(name).mean_ms for name in (again.own.sidecar, again.own.separate))
        assert sidecar == pytest.approx(separate, rel=2e-3)


def test_shares_of_a_memory_make_more_calls_than_the_whole_of_it(log: Path) -> None:
    """60 paths of 1,000 bytes: all together they are less than a tenth of a megabyte."""
    total = f"{4 * 1_100_000 + 40_000}B"
    found = run("--log", str(log), "--ttl", "1h", "--replicas", "4", "--memory-total", total)
    points = {point["topology"]: point for point in found["points"]}
    assert points["sidecar"]["maxmemory"] == (4 * 1_100_000 + 40_000) // 4
    assert points["sidecar"]["evicted"] > 0
    assert points["separate"]["evicted"] == 0
    assert any("evicted" in note for note in found["notes"])
    ratios = [each["hit_ratio"] for each in found["memory"]]
    assert [each["separate"] for each in ratios] == sorted(each["separate"] for each in ratios)
    assert ratios[0]["sidecar"] < ratios[-1]["sidecar"]


def test_a_cache_in_front_answers_part_of_the_hits(log: Path) -> None:
    found = run("--log", str(log), "--ttl", "1h", "--replicas", "2", "--l1", "10m")
    points = {(point["topology"], point["l1_s"]): point for point in found["points"]}
    for topology in ("sidecar", "separate"):
        front, plain = points[topology, 600.0], points[topology, 0.0]
        assert front["upstream_calls"] == plain["upstream_calls"]
        assert 0 < front["l1_hits"] < front["hits"] == plain["hits"]
        assert front["mean_ms"] < plain["mean_ms"]


def test_calls_that_a_304_answers_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    one = '192.0.2.1 - - [14/Mar/2025:{:02}:{:02}:00 +0000] "GET /a HTTP/1.1" 200 10'
    path.write_text("\n".join(one.format(hour, minute) for hour in range(3) for minute in range(60)) + "\n")
    found = run(
        "--log", str(path), "--ttl", "5s", "--replicas", "2", "--quota", "60", "--set", "cache.revalidate=1d"
    )
    points = {point["topology"]: point for point in found["points"]}
    assert points["separate"]["upstream_calls"] == points["sidecar"]["upstream_calls"] == 180
    assert (points["separate"]["quota_calls"], points["sidecar"]["quota_calls"]) == (1, 2)
    assert "count against the quota" in found["answer"]
    assert "both fit" in found["answer"]


def test_a_cold_log_shorter_than_an_hour_is_not_multiplied_up_to_one(tmp_path: Path) -> None:
    """A minute that asks for 6 paths costs a shared cache 6 calls, and with a TTL of 1 h no more an hour."""
    log = tmp_path / "short.log"
    log.write_text("".join(f"{line}\n" for line in lines(1, 3600, 6).splitlines()[1:61] if " 200 " in line))
    found = run("--log", str(log), "--ttl", "1h", "--replicas", "3", "--quota", "5000/h")
    points = {point["topology"]: point for point in found["points"]}
    for point in points.values():
        hourly = point["upstream_calls_per_hour"]
        assert hourly["mean"] == hourly["busiest"] == pytest.approx(point["upstream_calls"])
    assert points["separate"]["upstream_calls"] == 6
    assert 6 < points["sidecar"]["upstream_calls"] <= 18
    assert "a separate Redis makes 6 upstream calls in this log, sidecars 1" in found["answer"]
    assert "fit" not in found["answer"], "a minute does not tell what an hour needs"
    assert found["quota"] is None
    assert any("not extrapolated" in note for note in found["notes"])


def test_a_steady_log_shorter_than_an_hour_is_extrapolated(tmp_path: Path) -> None:
    log = tmp_path / "short.log"
    log.write_text("".join(f"{line}\n" for line in lines(1, 3600, 6).splitlines()[:1800] if " 200 " in line))
    found = run("--log", str(log), "--ttl", "1m", "--replicas", "3", "--start", "steady", "--quota", "5000/h")
    separate = next(point for point in found["points"] if point["topology"] == "separate")
    # Each of the 6 paths is fetched again at its first request after the TTL: about every 66 s.
    assert separate["upstream_calls_per_hour"]["mean"] == pytest.approx(6 * 3600 / 66, rel=0.1)
    assert found["quota"] is not None
