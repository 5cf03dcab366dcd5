"""`sidecar-bench log`, and what `check` tells of logs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from access_logs import line, written
from commands import Ended, sidecar_bench

CASES = Path(__file__).parents[4] / "shared" / "cases" / "logs"


def truths() -> list[tuple[str, str, str]]:
    """Return what is true of each file: its name, requests and resources."""
    if not CASES.is_dir():
        return []
    with (CASES / "TRUTH.tsv").open(encoding="utf-8") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if not row[0].startswith("#")]
    return [(row[0], row[1], row[2].partition(" ")[0]) for row in rows]


def figures(*arguments: str | Path, cwd: Path) -> dict:
    ended = sidecar_bench("log", *map(str, arguments), "--json", cwd=cwd)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not beside the repository: {CASES}")
@pytest.mark.parametrize(("name", "requests", "resources"), truths())
def test_a_log_holds_what_is_true_of_it(tmp_path: Path, name: str, requests: str, resources: str) -> None:
    if requests == "refused":
        ended = sidecar_bench("log", str(CASES / name), "--json", cwd=tmp_path)
        assert ended.returncode == 2
        assert name in ended.stderr
        assert "Traceback" not in ended.stderr
        return
    found = figures(CASES / name, cwd=tmp_path)
    if name == "long/most-bad.log":
        # The table says 9 and 1; the file has 55 lines in the format, for 6 paths, and 545 that are in none.
        assert (found["requests"], found["resources"], found["left_out"][0]["lines"]) == (55, 6, 545)
        return
    assert str(found["requests"]) == requests
    assert resources in ("-", str(found["resources"]))
    assert found["lines"] == found["requests"] + sum(kind["lines"] for kind in found["left_out"])


def test_the_figures_of_a_log(tmp_path: Path) -> None:
    log = written(
        tmp_path,
        line("/a", 0), line("/b", 1, status=404), line("/a", 2, method="HEAD"), line("/a", 9, method="POST"),
        b"nonsense",
    )  # fmt: skip
    found = figures(log, cwd=tmp_path)
    remarks = found.pop("remarks")
    assert found == {
        "format": "Combined Log Format",
        "detected": ["Combined Log Format: time in brackets, request in quotes, then status and bytes"],
        "lines": 5,
        "requests": 3,
        "resources": 2,
        "left_out": [
            {"reason": "method POST: not cached", "lines": 1, "first": line("/a", 9, method="POST").decode()},
            {"reason": "not in the log's format", "lines": 1, "first": "nonsense"},
        ],
        "first": "2025-03-14T09:00:00Z",
        "last": "2025-03-14T09:00:02Z",
        "span_s": 2.0,
        "methods": {"GET": 2, "HEAD": 1, "POST": 1},
        "statuses": {"200": 2, "404": 1},
        "asked_once": 0.5,
        "clients": 1,
        "requests_per_hour": [{"hour": "2025-03-14T09:00:00Z", "requests": 3}],
        "busiest_hour": {"hour": "2025-03-14T09:00:00Z", "requests": 3},
        "zipf_exponent": None,
        "working_set": {
            "resources": 2,
            "bytes": 1000,
            "resources_with_size": 1,
            "resources_per_hour": {"mean": 2.0, "most": 2},
        },
    }
    assert remarks[0].startswith(
        "Warning: 1 of 5 lines (20%) are not in Combined Log Format, the first: nonsense"
    )
    said = sidecar_bench("log", str(log), cwd=tmp_path).stdout
    for part in (
        "3 (GET and HEAD)",
        "2, 50% of them requested once",
        "2 resources per hour on average, 2 at most; the 1 with a known size total 1 kB",
        "1.5 requests/s on average, 3 in the busiest hour (2025-03-14T09:00:00Z)",
        "1 × method POST: not cached, the first:",
    ):
        assert part in said


def test_options_take_part_of_a_log_and_rewrite_keys(tmp_path: Path) -> None:
    lines = [line(f"/users/{n}?utm_source=x", n) for n in range(9)]
    log = written(tmp_path, *lines, line("/health", 10), line("/users/1", 20, status=500))
    found = figures(
        log, "--path-regex", "^/users", "--status", "2xx", "--until", "2025-03-14T09:00:08",
        "--strip-query", "utm_*", "--key", r"^/users/\d+→/users/N", cwd=tmp_path,
    )  # fmt: skip
    assert (found["lines"], found["requests"], found["resources"]) == (11, 8, 1)
    assert found["left_out"] == [
        {"reason": "not before --until 2025-03-14T09:00:08", "lines": 3, "first": "/users/8?utm_source=x"}
    ]
    taken = figures(log, "--path-regex", "^/users", "--status", "2xx", cwd=tmp_path)
    assert [kind["lines"] for kind in taken["left_out"]] == [1, 1]
    refused = sidecar_bench("log", str(log), "--status", "ok", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--status ok: is not a status; write 200, 2xx or 200-299" in " ".join(refused.stderr.split())


def test_a_log_is_written_without_its_names_and_read_again(tmp_path: Path) -> None:
    log = written(tmp_path, *(line(f"/item/{n % 40}", n, size=n % 40) for n in range(400)))
    ended = sidecar_bench("log", str(log), "--anonymize", "out.parquet", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "400 requests with their times" in ended.stderr
    named, anonymous = json.loads(ended.stdout), figures("out.parquet", cwd=tmp_path)
    for figure in (
        "requests",
        "resources",
        "statuses",
        "asked_once",
        "clients",
        "zipf_exponent",
        "working_set",
    ):
        assert anonymous[figure] == named[figure], figure
    again = sidecar_bench("log", "out.parquet", "--anonymize", "out.parquet", cwd=tmp_path)
    assert again.returncode == 2
    assert "this is the log itself" in " ".join(again.stderr.split())


def check(log: Path, *more: str, cwd: Path) -> Ended:
    return sidecar_bench("check", "access-log", "--set", f"workload.log={log}", *more, cwd=cwd)


def test_check_tells_what_trials_leave_out(tmp_path: Path) -> None:
    lines = [line(f"/{n % 9}", n) for n in range(3600)] + [line("/a", 3600, method="POST")]
    log = written(tmp_path, *lines, line("/b/../c", 3599, status=400), line("/p#x", 9), line("/p", 10))
    said = check(log, "--set", "workload.speedup=10", "--set", "workload.from=60", cwd=tmp_path).stdout
    assert "1 × method POST: not cached" in said
    assert "A trial takes 200 of the log's 3,603 requests: 3 min 20 s of 60 min" in said
    assert "62 requests are before workload.from" in said
    assert "--set workload.speedup=177 takes them in" in said
    assert "2 resources are 1 to our app, which cannot tell them apart" in said
    assert "1 request will be refused by our app (400), by design: the path has . or .. segments" in said
    assert "come later" not in check(log, "--set", "workload.speedup=180", cwd=tmp_path).stdout


def test_a_log_most_of_which_cannot_be_read_is_refused_with_the_first_line(tmp_path: Path) -> None:
    good = [line("/a", n) for n in range(50)]
    log = written(tmp_path, *good, *[b"2025-03-14T09:00:00Z GET /a 200"] * 51)
    speed = ("--set", "workload.speedup=1")
    ended = check(log, *speed, cwd=tmp_path)
    assert ended.returncode == 2
    assert "51 of 101 lines (50%) are not in" in ended.stderr
    assert "the first: 2025-03-14T09:00:00Z GET /a 200" in ended.stderr
    assert figures(log, cwd=tmp_path)["requests"] == 50, "but what it holds is told"
    assert check(written(tmp_path, *good, b"odd"), *speed, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "name", ["20250314", "null", "on", "1e3", "{a}.log", "[x].log", "2025.03", "a #b", "- c"]
)
def test_a_log_s_name_stays_a_name(tmp_path: Path, name: str) -> None:
    written(tmp_path / name, *[line("/a", n) for n in range(9)])
    ended = check(Path(name), "--set", "workload.speedup=1", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr


def test_check_says_by_how_much_a_speedup_bends_the_hit_ratio_and_what_does_not(tmp_path: Path) -> None:
    log = written(tmp_path, *[line(f"/{n}", 10 * n + half) for n in range(200) for half in (0, 0)])
    said = check(log, "--set", "workload.speedup=100", "--topology", "separate", cwd=tmp_path).stdout
    assert "a fill of 7 ms takes 0.7 s of its time" in said
    assert "separate would show a hit ratio of 0.0% where 50.0% is true (-50.0 points)" in said
    assert "--set workload.speedup=50 keeps that within a point" in said
    assert "3600 s (tried: 36 s)" in said
    slower = check(log, "--set", "workload.speedup=50", "--topology", "separate", cwd=tmp_path).stdout
    assert "would show" not in slower
