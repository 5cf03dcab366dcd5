"""The open loop: nothing that an answer does, or does not, moves the next request."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import gevent
import numpy as np
import pyarrow.parquet as pq
import pytest

from loadtests.reading.answers import Reader
from loadtests.sending import open_loop
from loadtests.sending.open_loop import OpenLoop
from loadtests.sending.recorder import Recorder
from scenarios.contract import OURS, Contract, HitRule
from traffic.keys import Requests

pytestmark = pytest.mark.served


def planned(gap_us: int, count: int, replicas: int = 1) -> Requests:
    return Requests(
        at_us=np.arange(count, dtype=np.int64) * gap_us,
        keys=np.arange(count, dtype=np.int32),
        replicas=(np.arange(count) % replicas).astype(np.int16),
        paths={number: f"path/{number}" for number in range(count)},
        span_s=gap_us * count / 1e6,
    )


@pytest.fixture
def send(tmp_path):
    """Send requests and return the rows, and the loop."""

    def run(requests: Requests, *targets: str, users: int = 16, timeout_s: float = 5.0, **how):
        sources = Reader(how.get("contract", OURS)).sources
        recorder = Recorder(requests, sources)
        loop = OpenLoop(recorder, targets, timeout_s, **how)
        pool = [gevent.spawn(loop.serve) for _ in range(users)]
        while loop.free_users < users:
            gevent.sleep(0)
        loop.start()
        try:
            assert loop.done.wait(20), "the trial ends"
        finally:
            loop.close()
            gevent.killall(pool)
        recorder.write(tmp_path / "rows.parquet")
        return pq.read_table(tmp_path / "rows.parquet").to_pandas(), loop

    return run


def slow_for(name: bytes, seconds: float, answer: bytes):
    def reply(request: bytes) -> bytes:
        if name in request:
            time.sleep(seconds)
        return answer

    return reply


def test_each_request_asks_for_its_path_of_its_replica(servers, send) -> None:
    asked = [[], []]
    targets = [
        servers.answering(lambda request, here=here: asked[here].append(request) or servers.ok)
        for here in range(2)
    ]
    rows, _ = send(planned(1000, 10, replicas=2), *(target.url for target in targets))
    for here, target in enumerate(targets):
        host = target.url.removeprefix("http://").encode()
        # Two that are close may overtake each other on connections of their own.
        assert sorted(asked[here]) == [
            b"GET /content/path/%d HTTP/1.1\r\nHost: %s\r\n\r\n" % (number, host)
            for number in range(here, 10, 2)
        ]
    assert rows.outcome.tolist() == ["hit"] * 10
    assert rows.replica.tolist() == [0, 1] * 5
    assert rows.key.tolist() == list(range(10))


def test_requests_are_sent_when_they_are_due(servers, send) -> None:
    rows, loop = send(planned(2000, 200), servers.answering().url)
    lag_us = rows.sent_us - rows.intended_us
    assert lag_us.min() >= 0, "never early"
    assert lag_us.median() < 1000
    assert (rows.end_us > rows.sent_us).all()
    assert loop.offered == loop.sent == 200


def test_a_slow_answer_never_delays_the_next_request(servers, send) -> None:
    server = servers.answering(slow_for(b"path/5 ", 0.4, servers.ok))
    rows, loop = send(planned(5000, 60), server.url)
    latency_us = rows.end_us - rows.sent_us
    assert latency_us[5] >= 400_000
    assert latency_us.drop(5).median() < 100_000
    assert (rows.sent_us - rows.intended_us).median() < 5000
    assert rows.end_us[30] < rows.end_us[5], "others overtake it"
    assert loop.most_users >= 2


def test_requests_under_way_are_counted_over_the_measured_time(servers, send) -> None:
    server = servers.answering(slow_for(b"path", 0.03, servers.ok))
    rows, loop = send(planned(10_000, 40), server.url)
    assert loop.under_way == pytest.approx(
        (rows.end_us.clip(upper=400_000) - rows.sent_us).sum() / 4e5, rel=0.01
    )
    assert 2.5 < loop.under_way < 6, "each takes about three gaps"


def test_where_no_user_is_free_requests_wait_and_none_is_dropped(servers, send) -> None:
    server = servers.answering(slow_for(b"path", 0.02, servers.ok))
    rows, loop = send(planned(1000, 50), server.url, users=2)
    lag_us = rows.sent_us - rows.intended_us
    assert len(rows) == 50
    assert (rows.outcome == "hit").all()
    assert loop.most_users == 2
    # Two at a time, 20 ms each, are done after half a second; 50 ms were planned.
    assert lag_us.iloc[-1] > 350_000
    assert rows.sent_us.is_monotonic_increasing


def test_an_answer_that_does_not_come_in_time_is_an_error(servers, send) -> None:
    server = servers.answering(slow_for(b"path/3 ", 1.5, servers.ok))
    rows, _ = send(planned(1000, 20), server.url, timeout_s=0.3)
    assert rows.outcome.drop(3).eq("hit").all()
    assert (rows.outcome[3], rows.status[3]) == ("error", 0)
    assert 300_000 <= rows.end_us[3] - rows.sent_us[3] < 1_000_000


def test_an_answer_that_comes_after_its_time_has_failed_whenever_that_is_looked_at(servers, send) -> None:
    server = servers.answering(slow_for(b"path", 0.25, servers.ok))
    rows, _ = send(planned(5000, 60), server.url, users=60, timeout_s=0.24)
    assert len(rows) == 60
    assert rows.outcome.eq("error").all()
    assert set(rows.reason) <= {"answered too late", "no answer in time"}
    assert (rows.reason == "answered too late").sum() >= 1
    assert rows.status[rows.reason == "answered too late"].eq(200).all(), "the status that came is kept"


def test_a_backlog_that_cannot_be_sent_ends_at_a_stated_time(servers, send, monkeypatch) -> None:
    monkeypatch.setattr(open_loop, "OVERRUN_S", 0.5)
    server = servers.answering(slow_for(b"path", 0.1, servers.ok))
    began_s = time.monotonic()
    rows, loop = send(planned(200, 1000), server.url, users=4)
    assert time.monotonic() - began_s < 3, "sent one after the other they would take 25 s"
    assert len(rows) + loop.unsent == 1000
    assert loop.sent == len(rows)
    assert 10 <= len(rows) <= 60
    assert rows.outcome.eq("hit").all()


def test_requests_that_are_not_due_in_time_are_not_sent_either(servers, send, monkeypatch) -> None:
    """A generator that was stopped for long wakes up with its whole schedule behind it."""
    monkeypatch.setattr(open_loop, "OVERRUN_S", 0.2)
    monkeypatch.setattr(OpenLoop, "_arrive", lambda self: None)
    rows, loop = send(planned(1000, 20), servers.answering().url)
    assert (len(rows), loop.unsent) == (0, 20)


def test_a_target_without_cache_headers_is_answered_all_the_same(servers, send) -> None:
    server = servers.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    rows, loop = send(planned(1000, 20), server.url)
    assert rows.outcome.eq("unknown").all()
    assert rows.status.eq(200).all()
    assert (rows.reason == "").all()
    assert loop.recorder.facts()["told_by"] == {"": 20}


def test_a_service_is_called_as_its_contract_says(servers, send) -> None:
    asked = []
    server = servers.answering(
        lambda request: (
            asked.append(request) or b"HTTP/1.1 200 OK\r\nX-Cache: ONLINE_HIT\r\nContent-Length: 0\r\n\r\n"
        )
    )
    contract = Contract(path="/github/{key}?raw=1", rules=(HitRule(header="X-Cache", glob="*_HIT"),))
    headers = {"Authorization": "Bearer s3cret", "Host": "api.example"}
    rows, _ = send(planned(1000, 1), server.url, contract=contract, headers=headers)
    assert asked == [
        b"GET /github/path/0?raw=1 HTTP/1.1\r\nAuthorization: Bearer s3cret\r\nHost: api.example\r\n\r\n"
    ]
    assert rows.outcome.tolist() == ["hit"]
    assert rows.told_by.tolist() == ["x-cache"]


def test_a_generator_without_descriptors_says_so_and_does_not_blame_the_target(servers, send) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = servers.answering(slow_for(b"path", 0.2, servers.ok))
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 12, hard))
    try:
        rows, loop = send(planned(500, 60), server.url, users=60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    short = loop.recorder.facts()["failures"].get("out of file descriptors", 0)
    assert short == (rows.reason == "out of file descriptors").sum() > 0


def test_all_that_wait_too_long_are_given_up_and_not_only_the_first(servers, send) -> None:
    silent = servers.scripted(lambda peer: peer.request() and peer.request())
    rows, _ = send(planned(1000, 40), silent.url, users=10, timeout_s=0.2)
    assert len(rows) == 40
    assert rows.outcome.eq("error").all()
    assert ((rows.end_us - rows.sent_us) < 1_000_000).all()


def test_a_server_that_refuses_gives_error_rows_and_the_trial_still_ends(servers, send) -> None:
    server = servers.answering()
    server.close()
    rows, _ = send(planned(1000, 30), server.url)
    assert len(rows) == 30
    assert rows.outcome.eq("error").all()
    assert rows.status.eq(0).all()


def test_a_server_that_goes_away_spoils_the_rest_only(servers, send) -> None:
    server = servers.answering()
    gevent.spawn_later(0.2, server.close)
    rows, _ = send(planned(5000, 100), server.url)
    assert len(rows) == 100
    assert rows.outcome.iloc[:20].eq("hit").all()
    assert rows.outcome.iloc[-20:].eq("error").all()


def test_a_trial_without_requests_ends_at_once(servers, send) -> None:
    rows, _ = send(planned(1000, 0), servers.answering().url)
    assert rows.empty


def test_a_user_taken_away_in_the_middle_leaves_an_error_and_no_request_is_lost(servers) -> None:
    recorder = Recorder(planned(1000, 4))
    loop = OpenLoop(recorder, (servers.answering(slow_for(b"path/0 ", 0.3, servers.ok)).url,), 5)
    pool = [gevent.spawn(loop.serve) for _ in range(3)]
    while loop.free_users < 3:
        gevent.sleep(0)
    pool[0].kill()  # an idle one
    assert loop.free_users == 2
    loop.start()
    gevent.sleep(0.15)
    pool[2].kill()  # who was free last got the first request, and still has it
    assert loop.done.wait(5)
    loop.close()
    gevent.killall(pool)
    assert recorder.outcomes() == {"hit": 3, "error": 1}


def test_halting_sends_nothing_more(servers) -> None:
    server = servers.answering()
    recorder = Recorder(planned(100_000, 50))
    loop = OpenLoop(recorder, (server.url,), 5)
    pool = [gevent.spawn(loop.serve) for _ in range(3)]
    gevent.sleep(0)
    loop.start()
    gevent.sleep(0.15)
    loop.halt()
    sent = loop.sent
    gevent.sleep(0.25)
    assert 1 <= loop.sent == sent <= 3
    loop.close()
    gevent.killall(pool)
