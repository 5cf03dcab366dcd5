"""A run on a service that is not ours, as its owner would start it: from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import Ended, sidecar_bench
from servers import eventually, free_port, get

from reports.stored.records import TrialRecord

SERVICE = Path(__file__).parents[2] / "support" / "foreign.py"
TOKEN = "hush-s3cret-token"
SMALL = ("--blocks", "2", "--duration", "1500ms", "--rate", "60", "--set", "schedule.warmup=0.5",
         "--set", "schedule.attempts=1")  # fmt: skip
# On a machine that is busy with other work no latency may be believed; counts stand nonetheless.
ENDED = (0, 3)

pytestmark = pytest.mark.served


@pytest.fixture
def mirror() -> Iterator[Any]:
    """Start a mirror with these variables; return its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**variables: str) -> str:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        started.append(
            subprocess.Popen([sys.executable, str(SERVICE), str(port)], env={**os.environ, **variables})
        )
        assert eventually(lambda: _answers(url))
        return url

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return get(url, "/stats").status == 200
    except OSError:
        return False


def keys(folder: Path) -> list[str]:
    """Write a file of the service's own paths; return the options that name it."""
    (folder / "keys.txt").write_text("".join(f"repos/octo/r{number}\n" for number in range(30)))
    return ["--keys", "keys.txt", "--path", "/github/{key}"]


def ran(folder: Path, ended: Ended) -> tuple[dict[str, Any], list[TrialRecord], str]:
    assert ended.returncode in ENDED, ended.stdout + ended.stderr
    (run,) = (folder / "results").iterdir()
    trials = [TrialRecord.model_validate_json(p.read_text()) for p in sorted(run.glob("trials/*/trial.json"))]
    return json.loads((run / "summary.json").read_text()), trials, (run / "report.html").read_text()


def test_a_service_with_a_header_of_its_own_is_compared_by_hits_and_calls(mirror, tmp_path: Path) -> None:
    one, other = mirror(MIRROR_TOKEN=TOKEN), mirror(MIRROR_TOKEN=TOKEN)
    (tmp_path / "secret.txt").write_text(f"Authorization: Bearer {TOKEN}\n")
    ended = sidecar_bench(
        "run", "quick", "--target", one, "--label", "old", "--target", other, "--label", "new",
        *keys(tmp_path), "--header", "@secret.txt", "--upstream-count", f"{one}/stats#upstream.0.calls",
        *SMALL, cwd=tmp_path,
    )  # fmt: skip
    summary, trials, page = ran(tmp_path, ended)
    assert len(trials) == 4
    for trial in trials:
        assert trial.load.outcomes.keys() <= {"hit", "miss"}
        assert trial.load.told_by == {"x-cache": trial.load.requests}
        assert trial.load.statuses == {"200": trial.load.requests}
        assert trial.upstream.counted_by == "url"
    # The count is the one's own: each of its misses is a call, and what the probes took came before.
    (first,) = (trial for trial in trials if trial.id == "b01-old")
    assert first.upstream.calls == first.load.outcomes["miss"] > 0
    for variant in summary["variants"]:
        assert variant["metrics"]["hit_ratio"]["value"] > 0.5
        assert variant["metrics"]["error_ratio"]["value"] == 0
    assert "old: hits were identified by X-Cache." in summary["notes"]
    assert page.index("identified by X-Cache") < page.index("<main>"), "it stands on the first screen"
    assert "Cache-Status headers alone" not in page
    assert "a skewed catalogue of 400 paths" not in page, "it is not what was asked for"
    assert "/github/{key}" in page
    rows = pq.read_table(next((tmp_path / "results").glob("*/trials/b01-old/requests.parquet"))).to_pydict()
    assert set(rows["told_by"]) == {"x-cache"}
    assert set(rows["reason"]) == {""}
    stored = [file for file in (tmp_path / "results").rglob("*") if file.is_file()]
    assert not [file for file in stored if TOKEN.encode() in file.read_bytes()]
    assert TOKEN not in ended.stdout + ended.stderr


def test_a_header_on_the_command_line_is_stored_without_its_value(mirror, tmp_path: Path) -> None:
    url = mirror(MIRROR_TOKEN=TOKEN)
    ended = sidecar_bench(
        "run", "quick", "--target", url, *keys(tmp_path), "--header", f"Authorization: Bearer {TOKEN}",
        "--outcome", "X-Cache: *_HIT", *SMALL, "--blocks", "1", cwd=tmp_path,
    )  # fmt: skip
    summary, (trial,), _ = ran(tmp_path, ended)
    assert "Authorization: …" in summary["command"]
    assert summary["verdict"].startswith("service: ")
    assert (
        f"hit ratio {summary['variants'][0]['metrics']['hit_ratio']['value']:.1%}"[:12] in summary["verdict"]
    )
    assert trial.upstream.counted_by == "headers"
    stored = [file for file in (tmp_path / "results").rglob("*") if file.is_file()]
    assert not [file for file in stored if TOKEN.encode() in file.read_bytes()]


def test_answers_that_tell_no_outcome_are_answers(mirror, tmp_path: Path) -> None:
    ended = sidecar_bench(
        "run", "quick", "--target", mirror(MIRROR_TELLS="0"), *keys(tmp_path), *SMALL,
        "--markdown", "found.md", "--junit", "found.xml", cwd=tmp_path,
    )  # fmt: skip
    summary, trials, page = ran(tmp_path, ended)
    for trial in trials:
        assert trial.load.outcomes == {"unknown": trial.load.requests}
        assert trial.upstream.counted_by == "unknown"
    (variant,) = summary["variants"]
    for metric in ("hit_ratio", "upstream_calls_per_1000", "upstream_reduction", "hit_p50_ms"):
        assert variant["metrics"][metric] is None
    assert variant["metrics"]["error_ratio"]["value"] == 0
    assert all(trial["upstream_calls"] is None for trial in summary["trials"])
    (note,) = (note for note in summary["notes"] if "no answer said" in note)
    assert "name it with --outcome" in note
    assert note.replace("'", "&#39;") in page
    for command in (["report"], ["show", "last"]):
        assert sidecar_bench(*command, cwd=tmp_path).returncode == 0
    assert sidecar_bench("cost", "--run", "last", cwd=tmp_path).returncode == 2
    assert "hits unknown, upstream calls not counted" in ended.stdout


def test_a_service_that_wants_credentials_says_so_before_the_run(mirror, tmp_path: Path) -> None:
    ended = sidecar_bench(
        "run", "quick", "--target", mirror(MIRROR_TOKEN=TOKEN), *keys(tmp_path), *SMALL, cwd=tmp_path
    )
    assert ended.returncode == 2
    assert "status 401: send credentials with --header" in ended.stderr
    assert not (tmp_path / "results").exists()


def test_a_run_whose_every_request_fails_says_by_what(mirror, tmp_path: Path) -> None:
    ended = sidecar_bench(
        "run", "quick", "--target", mirror(), *keys(tmp_path), "--header", "X-Fail: 503", *SMALL,
        "--blocks", "1", cwd=tmp_path,
    )  # fmt: skip
    summary, (trial,), page = ran(tmp_path, ended)
    count = trial.load.requests
    assert trial.load.failures == {"503": count}
    said = f"{count} of {count} requests failed (100.0%): {count} × 503"
    assert any(reason.startswith(said) for reason in summary["trials"][0]["reasons"])
    assert said in page
    assert f"{count} × 503" in " ".join(ended.stdout.split())
