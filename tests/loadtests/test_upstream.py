"""The stub of GitHub's contents API, asked over real sockets."""

from __future__ import annotations

import http.client
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from math import log
from pathlib import Path

import pytest
import uvicorn
from access_logs import line, written
from pydantic import ValidationError

from loadtests.upstream import LARGEST, Stub, StubSettings
from traffic.logs.handing import answers_of, handed_on

pytestmark = pytest.mark.served
ROOT = Path(__file__).parents[2]


class Running:
    """A stub behind uvicorn, in a thread."""

    def __init__(self, **settings) -> None:
        config = uvicorn.Config(Stub(StubSettings(**settings)), port=0, log_level="warning", lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.005)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]

    def ask(self, path: str, method: str = "GET", body: object = None, **headers: str):
        """Return status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            text = None if body is None else json.dumps(body)
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, text, names)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def counts(self) -> dict:
        return json.loads(self.ask("/_stub/counts")[2])

    def change(self, **settings) -> None:
        assert self.ask("/_stub/settings", "PUT", settings)[0] == 200

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def stub():
    running = []

    def start(**settings) -> Running:
        running.append(Running(**({"latency_ms": 0} | settings)))
        return running[-1]

    yield start
    for server in running:
        server.close()


def test_the_same_seed_and_path_give_the_same_body(stub) -> None:
    first, second, other = stub(seed=4), stub(seed=4), stub(seed=5)
    for path in ("/repos/a/b/contents/x.md", "/repos/a/b/contents/x.md?ref=main", "/%C3%A9"):
        status, headers, body = first.ask(path)
        again = second.ask(path)
        assert status == 200
        assert (again[2], again[1]["etag"]) == (body, headers["etag"])
        assert other.ask(path)[1]["etag"] != headers["etag"]
    assert first.ask("/a")[2] != first.ask("/a?b")[2]


def test_sizes_are_log_normal_about_the_median(stub) -> None:
    server = stub(body=4096, body_spread=1.0)
    with ThreadPoolExecutor(8) as pool:
        sizes = [log(len(body)) for _, _, body in pool.map(server.ask, [f"/{n}" for n in range(400)])]
    assert statistics.fmean(sizes) == pytest.approx(log(4096), abs=4 / 20)
    assert statistics.stdev(sizes) == pytest.approx(1.0, abs=0.15)


def test_sizes_without_spread_are_all_the_same_and_have_a_largest(stub) -> None:
    server = stub(body=300, body_spread=0)
    assert {len(server.ask(f"/{number}")[2]) for number in range(5)} == {300}
    server.change(body=50_000_000)
    assert len(server.ask("/a")[2]) == LARGEST


def answers_of_log(tmp_path, *lines: bytes):
    return answers_of(handed_on(written(tmp_path, *lines), tmp_path / "stored"))


def test_sizes_come_from_the_whole_answers_in_a_log(stub, tmp_path) -> None:
    answers = answers_of_log(
        tmp_path,
        line("/a?x=1", 0, size=700), line("/a?x=1", 1, size=777), line("/a?x=1", 2, size=900),
        line("/a?x=1", 3, status=206, size=5), line("/a?x=1", 4, status=304, size=0),
        line("/a?x=1", 5, method="HEAD", size=0), line("/b", 6, size="-"), line("/c", 7, size=0),
        line("/d", 8, size=10**15), line("/e", 9, size=3_000_000), line("/%7Eu[1]", 10, size=50),
        line("//f", 11, size=60), line("/f", 12, size=70),
        line("/g", 13, size=80, before="b.example:443 192.0.2.1 - -"),
    )  # fmt: skip
    server = stub(log=answers, body=10, body_spread=0)
    sizes = {
        "/a?x=1": 777, "/a": 10, "/b": 10, "/c": 0, "/d": 10, "/e": LARGEST, "/%7Eu%5B1%5D": 50, "//f": 60,
        "/f": 70, "/g": 10, "/b.example:443/g": 80,
    }  # fmt: skip
    assert {path: len(server.ask(path)[2]) for path in sizes} == sizes


def test_statuses_are_those_that_the_log_tells_of_the_time(stub, tmp_path) -> None:
    answers = answers_of_log(
        tmp_path,
        line("/a", 0), line("/a", 100, status=404), line("/a", 200, status=304), line("/b", 0, status=301),
        line("/c", 0, status=499), line("/c", 1, status=503), line("/d", 300, status=410),
        line("/e", 0, status=204),
    )  # fmt: skip
    server = stub(log=answers, log_speedup=10, log_from_s=50)

    def asked_at(log_s: float) -> list[int]:
        server.change(log_origin_s=time.monotonic() - (log_s - 50) / 10)
        return [server.ask(path)[0] for path in ("/a", "/b", "/c", "/d", "/e", "/unknown")]

    assert [server.ask("/a")[0] for _ in range(2)] == [200, 200], "before it begins it is the beginning"
    assert asked_at(60) == [200, 301, 503, 410, 204, 200]
    assert asked_at(150)[0] == 404
    assert asked_at(250)[0] == 200
    assert stub(log=answers).ask("/a")[0] == 200, "without times it is what it mostly is"
    assert len(server.ask("/a")[2]) == 1000


def test_an_etag_that_still_holds_is_answered_with_304(stub) -> None:
    server = stub()
    _, headers, _ = server.ask("/a")
    status, again, body = server.ask("/a", if_none_match=headers["etag"])
    assert (status, body, again["etag"]) == (304, b"", headers["etag"])
    assert server.ask("/a", if_none_match='"other"')[0] == 200
    assert server.counts()["by_status"] == {"200": 2, "304": 1}


def latencies_ms(server: Running, count: int, threads: int) -> list[float]:
    def timed(number: int) -> float:
        began_s = time.perf_counter()
        server.ask(f"/{number}")
        return (time.perf_counter() - began_s) * 1000

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(timed, range(count)))


def test_latency_is_constant_without_a_spread(stub) -> None:
    taken = latencies_ms(stub(latency_ms=40, body=10), 20, 4)
    assert min(taken) >= 39
    assert statistics.median(taken) < 60


def test_latency_with_a_spread_is_log_normal(stub) -> None:
    taken = [log(ms) for ms in latencies_ms(stub(latency_ms=60, latency_spread=0.5, body=10), 240, 24)]
    # A busy machine adds to each.
    assert log(60) - 0.2 < statistics.median(taken) < log(60) + 0.7
    quarter, _, three_quarters = statistics.quantiles(taken, n=4)
    assert 0.3 < (three_quarters - quarter) / 1.349 < 0.7, "sigma by the quartiles: a stall moves few of them"


@pytest.mark.parametrize("refusal", [403, 429])
def test_the_rate_limit_speaks_github_s_own_headers(stub, refusal) -> None:
    server = stub(rate_limit=3, rate_limit_status=refusal)
    answers = [server.ask(f"/{number}") for number in range(5)]
    assert [status for status, _, _ in answers] == [200, 200, 200, refusal, refusal]
    assert [headers["x-ratelimit-remaining"] for _, headers, _ in answers] == ["2", "1", "0", "0", "0"]
    assert [headers["x-ratelimit-used"] for _, headers, _ in answers] == ["1", "2", "3", "3", "3"]
    refused = answers[-1][1]
    assert refused["x-ratelimit-limit"] == "3"
    assert 3590 < int(refused["retry-after"]) <= 3600
    assert int(refused["x-ratelimit-reset"]) == pytest.approx(time.time() + 3600, abs=10)
    assert answers[0][1]["retry-after"] is None
    assert server.counts()["by_status"] == {"200": 3, str(refusal): 2}


def test_a_304_is_free_for_callers_who_say_who_they_are(stub) -> None:
    server = stub(rate_limit=10)
    tag = server.ask("/a", authorization="Bearer x")[1]["etag"]
    used = [
        server.ask("/a", if_none_match=tag, **headers)[1]["x-ratelimit-used"]
        for headers in ({"authorization": "Bearer x"}, {"authorization": "Bearer x"}, {})
    ]
    assert used == ["1", "1", "2"]


def test_errors_come_as_often_as_asked_and_the_same_ones_again(stub) -> None:
    def statuses() -> list[int]:
        server = stub(error_ratio=0.3, seed=8)
        return [server.ask("/a")[0] for _ in range(200)]

    first = statuses()
    assert set(first) == {200, 502}
    assert first.count(502) == pytest.approx(60, abs=26)
    assert statuses() == first


def test_a_share_of_the_paths_is_not_there_and_never_will_be(stub) -> None:
    def missing() -> list[int]:
        server = stub(missing_ratio=0.3, seed=8, rate_limit=1000)
        found = [server.ask(f"/{number}") for number in range(200)]
        assert found[0][1]["x-ratelimit-remaining"] == "999", "they count like others"
        return [number for number, (status, _, _) in enumerate(found) if status == 404]

    first = missing()
    assert len(first) == pytest.approx(60, abs=26)
    assert missing() == first
    server = stub(missing_ratio=0.6, seed=8)
    assert {server.ask(f"/{number}")[0] for number in first} == {404}
    assert stub(missing_ratio=0).ask(f"/{first[0]}")[0] == 200


def test_calls_are_counted_exactly_and_control_calls_are_not(stub) -> None:
    server = stub()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(server.ask, [f"/{number}" for number in range(100)]))
    assert server.ask("/_stub/healthz")[0] == 200
    assert server.counts() == {"calls": 100, "by_status": {"200": 100}}
    server.ask("/_stub/counts", "DELETE")
    assert server.counts() == {"calls": 0, "by_status": {}}


def test_settings_can_be_changed_while_it_runs(stub) -> None:
    server = stub(body=100, body_spread=0)
    server.change(error_ratio=1)
    assert server.ask("/a")[0] == 502
    server.change(error_ratio=0, body=7)
    assert len(server.ask("/a")[2]) == 7
    assert server.counts()["by_status"] == {"502": 1, "200": 1}, "counts survive"


def test_while_caches_are_filled_it_answers_at_once_and_nothing_of_it_counts(stub) -> None:
    troubled = {"error_ratio": 0.5, "missing_ratio": 0.3, "seed": 8, "rate_limit": 250}
    server, undisturbed = stub(latency_ms=500, filling=True, **troubled), stub(**troubled)
    began = time.monotonic()
    filled = {path: server.ask(path) for path in (f"/{number}" for number in range(100))}
    assert time.monotonic() - began < 25, "the latency is left out"
    server.change(filling=False, latency_ms=0)
    assert server.counts() == {"calls": 0, "by_status": {}}
    for path, (status, _, body) in filled.items():
        told, expected = server.ask(path), undisturbed.ask(path)
        assert (told[0], told[2]) == (expected[0], expected[2]), (
            "the errors are those of a stub that filled nothing"
        )
        assert told[1]["x-ratelimit-remaining"] == expected[1]["x-ratelimit-remaining"]
        if told[0] != 502:
            assert (status, body) == (told[0], told[2])
    assert {status for status, _, _ in filled.values()} == {200, 404}


@pytest.mark.parametrize("wrong", [{"latency_ms": -1}, {"latncy_ms": 1}, [1], 3])
def test_wrong_settings_are_refused_and_change_nothing(stub, wrong) -> None:
    server = stub(body=100, body_spread=0)
    assert server.ask("/_stub/settings", "PUT", wrong)[0] == 400
    assert len(server.ask("/a")[2]) == 100


def test_a_stalled_upstream_answers_once_it_goes_on(stub) -> None:
    server = stub()
    server.change(stalled=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.ask, "/a")
        time.sleep(0.2)
        assert not waiting.done()
        assert server.counts()["calls"] == 0
        server.change(stalled=False)
        assert waiting.result(5)[0] == 200
    assert server.counts()["calls"] == 1


def test_it_is_configured_by_the_environment() -> None:
    settings = StubSettings.from_environment(
        {"UPSTREAM_LATENCY_MS": "2.5", "UPSTREAM_RATE_LIMIT": "", "UPSTREAM_BODY": "9", "OTHER": "x"}
    )
    assert (settings.latency_ms, settings.rate_limit, settings.body) == (2.5, None, 9)
    with pytest.raises(ValidationError):
        StubSettings.from_environment({"UPSTREAM_ERROR_RATIO": "2"})


def test_it_needs_nothing_that_its_image_lacks() -> None:
    """The image has what compose/requirements.in lists, and of this repository what its Dockerfile copies."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "for name in ('numpy', 'pandas', 'pyarrow', 'numba', 'gevent', 'locust', 'scipy'):\n"
            "    sys.modules[name] = None\n"
            "import loadtests.upstream\n"
            "ours = ('scenarios', 'traffic', 'loadtests', 'simulation')\n"
            "found = [module for name, module in sys.modules.items() if name.partition('.')[0] in ours]\n"
            "print(*(module.__file__ for module in found))",
        ],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    copied = [
        pattern
        for copy in re.findall(r"^COPY (.+)$", (ROOT / "compose" / "Dockerfile").read_text(), re.MULTILINE)
        for pattern in copy.split()[:-1]
    ]
    for path in said.split():
        name = str(Path(path).relative_to(ROOT))
        assert any(fnmatch(name, pattern) for pattern in copied), f"{name} is not copied into the image"
