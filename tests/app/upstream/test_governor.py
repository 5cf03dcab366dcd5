"""The upstream's quota is kept to, whoever asks at once and whatever the upstream claims."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import HITS, RedisServer, eventually, get, serving

from app.main import create_app
from app.settings import Settings
from app.upstream.governor import LONGEST_S, Governor, QuotaError, whole_number

NOW_S = 1_800_000_000.0


@dataclass
class Clock:
    now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def governor(clock: Clock, concurrency: int = 64, reserve: int = 10, patience_s: float = 5.0) -> Governor:
    return Governor(concurrency, reserve, patience_s, clock)


def left(remaining: int | str, reset_s: float | str = NOW_S + 600) -> dict[str, str]:
    reset = reset_s if isinstance(reset_s, str) else str(int(reset_s))
    return {"x-ratelimit-remaining": str(remaining), "x-ratelimit-reset": reset}


def test_calls_are_free_until_the_upstream_says_otherwise(clock: Clock) -> None:
    assert governor(clock).wait_s(spare=True) == 0


def test_the_last_calls_are_left_to_who_cannot_do_without(clock: Clock) -> None:
    found = governor(clock, reserve=10)
    found.learn(200, left(10))
    assert found.wait_s(spare=True) == 600
    assert found.wait_s(spare=False) == 0
    found.learn(200, left(0))
    assert found.wait_s(spare=False) == 600
    clock.now_s += 600
    assert found.wait_s(spare=True) == 0


def test_answers_that_come_out_of_order_give_no_call_back(clock: Clock) -> None:
    found = governor(clock, reserve=0)
    found.learn(200, left(0))
    found.learn(200, left(3))
    found.learn(200, left(4, NOW_S + 601))  # the same window, told by a clock that has just gone on
    assert found.wait_s(spare=False) == 600


def test_a_new_window_replaces_the_one_before(clock: Clock) -> None:
    found = governor(clock, reserve=0)
    found.learn(200, left(0))
    found.learn(200, left(60, NOW_S + 1200))
    assert found.wait_s(spare=False) == 0
    found.learn(200, left(0, NOW_S + 600))  # a late answer of the old one
    assert found.wait_s(spare=False) == 0


def test_a_window_that_is_over_says_nothing_of_the_next(clock: Clock) -> None:
    found = governor(clock, reserve=0)
    found.learn(200, left(0, NOW_S + 600))
    clock.now_s += 601
    found.learn(200, left(7, NOW_S + 602))
    assert found.wait_s(spare=False) == 0


@pytest.mark.parametrize(
    "reset",
    [str(int((NOW_S + 600) * 1000)), str(int(NOW_S) + 10 * 365 * 86400), str(int(NOW_S) - 1), "9" * 400, "0"],
    ids=["milliseconds", "years ahead", "over", "endless", "nothing"],
)
def test_a_reset_that_makes_no_sense_is_none(clock: Clock, reset: str) -> None:
    found = governor(clock)
    found.learn(200, left(0, reset))
    assert found.wait_s(spare=False) == 0


def test_a_shorter_patience_takes_nothing_from_a_longer_one(clock: Clock) -> None:
    found = governor(clock)
    found.learn(429, {"retry-after": "60"})
    found.learn(429, {"retry-after": "1"})
    assert found.wait_s(spare=False) == 60


def named(resource: str, headers: dict[str, str]) -> dict[str, str]:
    return headers | {"x-ratelimit-resource": resource}


def test_each_resource_has_a_quota_of_its_own(clock: Clock) -> None:
    found = governor(clock, reserve=0)
    found.learn(403, named("search", left(0)), "search/users?q=a")
    assert found.wait_s("search/repositories?q=b", spare=False) == 600
    assert found.wait_s("repos/a/b", spare=False) == 0
    found.learn(200, named("core", left(7)), "repos/a/b")
    assert found.wait_s("search/users?q=c", spare=False) == 600
    found.learn(200, named("core", left(0, NOW_S + 900)), "repos/a/b")
    clock.now_s += 600
    assert found.wait_s("search/users?q=c", spare=False) == 0
    assert found.wait_s("users/a", spare=False) == 300


def test_a_part_of_what_begins_alike_may_count_apart(clock: Clock) -> None:
    found = governor(clock, reserve=0)
    found.learn(200, named("search", left(9)), "search/users?q=a")
    found.learn(200, named("code_search", left(0)), "search/code?q=a")
    assert found.wait_s("search/code?q=b", spare=False) == 600
    assert found.wait_s("search/issues?q=b", spare=False) == 0


def test_calls_under_way_count_against_their_own_resource(clock: Clock) -> None:
    found = governor(clock, reserve=0)
    found.learn(200, named("search", left(1)), "search/users")

    async def some() -> None:
        async with found.call("repos/a", spare=False), found.call("search/users", spare=False):
            assert found.wait_s("search/users", spare=False) == 1
            assert found.wait_s("repos/a", spare=False) == 0

    asyncio.run(some())


def test_what_callers_without_a_valid_token_have_left_is_no_quota_of_ours(clock: Clock) -> None:
    found = governor(clock)
    found.learn(401, left(0))
    assert found.wait_s(spare=False) == 0


LIMITED = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}'


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, b""), (403, LIMITED), (403, b"You have triggered an abuse detection mechanism")],
)
def test_a_refusal_that_names_no_wait_is_heeded_longer_each_time(
    clock: Clock, status: int, body: bytes
) -> None:
    found = governor(clock)
    waits = []
    for _ in range(9):
        for _ in range(3):  # those that were under way are refused, too
            found.learn(status, left(4000), "repos/a", body)
        waits.append(found.wait_s("search/a", spare=False))
        clock.now_s += waits[-1]
    assert waits == [60, 120, 240, 480, 960, 1920, 3840, LONGEST_S, LONGEST_S]
    found.learn(200, left(4000))
    found.learn(status, left(4000), "repos/a", body)
    assert found.wait_s(spare=False) == 60


def test_a_429_that_says_nothing_is_believed_when_it_comes_again(clock: Clock) -> None:
    found = governor(clock)
    found.learn(429, {})
    assert found.wait_s(spare=False) == 0
    found.learn(200, {})
    found.learn(429, {})
    assert found.wait_s(spare=False) == 0
    found.learn(429, {})
    assert found.wait_s(spare=False) == 60


@pytest.mark.parametrize("body", [b"", b'{"message": "Resource not accessible by personal access token"}'])
def test_a_403_for_one_path_refuses_no_other(clock: Clock, body: bytes) -> None:
    found = governor(clock)
    found.learn(403, left(4000), "orgs/secret", body)
    assert found.wait_s(spare=False) == 0


def test_a_spent_quota_is_no_secondary_limit(clock: Clock) -> None:
    found = governor(clock)
    found.learn(403, named("search", left(0)), "search/a", b"API rate limit exceeded for user 1.")
    assert found.wait_s("repos/a", spare=False) == 0
    assert found.wait_s("search/a", spare=False) == 600


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_waits_are_measured_and_not_read_off_a_clock_that_may_be_set(step_s: float) -> None:
    epoch, ticks = Clock(), Clock(100.0)
    found = Governor(64, 0, 5.0, epoch, ticks)
    found.learn(429, {"retry-after": "2"})
    epoch.now_s += step_s
    assert found.wait_s(spare=False) == 2
    ticks.now_s += 2
    assert found.wait_s(spare=False) == 0
    found.learn(200, left(0, epoch.now_s + 600))
    epoch.now_s += step_s
    ticks.now_s += 599
    assert found.wait_s(spare=False) == 1


def test_the_upstreams_own_clock_says_when_its_window_ends() -> None:
    found = Governor(64, 0, 5.0, Clock(NOW_S - 7200), Clock(100.0))
    found.learn(200, left(0) | {"date": formatdate(NOW_S, usegmt=True)})
    assert found.wait_s(spare=False) == 600
    found.learn(503, {"date": formatdate(NOW_S, usegmt=True), "retry-after": formatdate(NOW_S + 900)})
    assert found.wait_s(spare=False) == 900


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=400))
def test_no_names_break_it_or_fill_its_memory(answers: list[tuple[str, str]]) -> None:
    found = governor(Clock())
    for number, (resource, name) in enumerate(answers):
        found.learn(200, named(resource, left(number)), f"{name}/{number}")
    assert found.wait_s(spare=False) >= 0


@pytest.mark.parametrize("status", [403, 429, 503])
def test_patience_may_be_asked_for_until_a_date(clock: Clock, status: int) -> None:
    found = governor(clock)
    found.learn(status, {"retry-after": formatdate(NOW_S + 90, usegmt=True)})
    assert found.wait_s(spare=False) == 90


def test_no_patience_lasts_longer_than_a_quota(clock: Clock) -> None:
    found = governor(clock)
    found.learn(503, {"retry-after": "9" * 400})
    assert found.wait_s(spare=False) == LONGEST_S


def test_patience_is_asked_for_by_refusals_alone(clock: Clock) -> None:
    found = governor(clock)
    found.learn(200, {"retry-after": "60"})
    assert found.wait_s(spare=False) == 0


@given(st.text(), st.text(), st.text(), st.sampled_from([200, 403, 429, 503]))
def test_no_header_breaks_it_or_closes_it_for_ever(
    remaining: str, reset: str, patience: str, status: int
) -> None:
    found = governor(Clock())
    found.learn(status, left(remaining, reset) | {"retry-after": patience})
    assert 0 <= found.wait_s(spare=True) <= LONGEST_S


@given(st.integers(0, 10**30), st.integers(0, 30))
def test_numbers_of_headers_are_read_up_to_a_bound(number: int, zeros: int) -> None:
    assert whole_number("0" * zeros + str(number)) == min(number, 2**31)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "²", "٣", "1 ", "0x10"])
def test_what_is_no_whole_number_is_none(text: str) -> None:
    assert whole_number(text) is None


def test_calls_under_way_count_against_what_is_left(clock: Clock) -> None:
    found = governor(clock, reserve=0)
    found.learn(200, left(2))

    async def three() -> None:
        async with found.call(spare=False), found.call(spare=False):
            with pytest.raises(QuotaError) as refused:
                async with found.call(spare=False):
                    pass
            assert refused.value.wait_s < 5  # not the whole window: one of the two may have been free
        assert found.wait_s(spare=False) == 0

    asyncio.run(three())


def test_nobody_waits_for_a_free_call_longer_than_may_be(clock: Clock) -> None:
    found = governor(clock, concurrency=1, patience_s=0.05)

    async def two() -> None:
        async with found.call(spare=False):
            with pytest.raises(QuotaError) as refused:
                async with found.call(spare=False):
                    pass
            assert refused.value.why == b"busy"
        async with found.call(spare=False):  # who gave up holds nothing
            pass

    asyncio.run(two())


@dataclass
class Counting:
    """An upstream with a quota, that takes a while for each answer; `left` None: it has none."""

    left: int | None = None
    refuses: dict[str, str] | None = None
    takes_s: float = 0.02
    asked: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: dict[str, Any], _: Any, send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            return
        self.asked[scope["path"]] += 1
        headers: dict[str, str] = {}
        if self.left is not None:
            self.left -= 1
            headers = left(self.left, time.time() + 600)
        await asyncio.sleep(self.takes_s)
        status = 200 if self.refuses is None else 429
        pairs = [(name.encode(), value.encode()) for name, value in (headers | (self.refuses or {})).items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": b"an answer"})


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def serve(redis: RedisServer, counting: Counting) -> Iterator[Callable[..., str]]:
    where = {"redis_host": "127.0.0.1", "redis_port": redis.port, "redis_password": redis.password}
    with serving(counting) as upstream:
        stack = []

        def serve(**settings: Any) -> str:
            merged: dict[str, Any] = {"ttl_s": 0.5, "ttl_jitter": 0.0, **where, **settings}
            stack.append(serving(create_app(Settings(upstream, **merged)), HITS))
            return stack[-1].__enter__()

        yield serve
        for served in stack:
            served.__exit__(None, None, None)


def ask_at_once(app: str, paths: Sequence[str]) -> list[tuple[int, str]]:
    """Ask for all paths together; return status and Cache-Status of each."""

    async def one(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
        async with session.get(f"{app}/content/{path}") as answer:
            await answer.read()
            return answer.status, answer.headers["cache-status"]

    async def crowd() -> list[tuple[int, str]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return await asyncio.gather(*(one(session, path) for path in paths))

    return asyncio.run(crowd())


@pytest.mark.served
def test_many_expired_at_once_spend_no_call_of_the_reserve(
    serve: Callable[..., str], counting: Counting
) -> None:
    app = serve(upstream_concurrency=2, upstream_reserve=10, stale_if_error_s=60)
    paths = [str(number) for number in range(200)]
    counting.takes_s = 0
    ask_at_once(app, paths)
    expired_s = time.monotonic() + 0.55
    counting.left = 21
    get(app, "/content/what-tells-of-the-quota")
    assert eventually(lambda: time.monotonic() > expired_s)
    counting.asked.clear()
    counting.takes_s = 0.02
    answers = ask_at_once(app, paths)
    assert {status for status, _ in answers} == {200}
    assert counting.left >= 10
    called = counting.asked.total()
    assert 8 <= called <= 10  # the last may be left over while others are under way
    assert sum("why=quota" in said for _, said in answers) == 200 - called


def test_who_waits_for_a_free_call_hears_of_a_refusal_met_meanwhile(
    serve: Callable[..., str], counting: Counting
) -> None:
    app = serve(upstream_concurrency=2)
    counting.refuses = {"retry-after": "60"}
    answers = ask_at_once(app, [str(number) for number in range(50)])
    refused = Counter(status for status, _ in answers)
    assert 1 <= refused[429] <= 2  # as many as were under way when the first was refused
    assert refused[429] + refused[503] == 50
    assert counting.asked.total() == refused[429]


@pytest.mark.served
def test_a_wait_for_a_free_call_that_lasts_too_long_ends_as_a_refusal(
    serve: Callable[..., str], counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.upstream.calls.PATIENCE_S", 0.1)
    app = serve(upstream_concurrency=1)
    counting.takes_s = 1.0
    answers = ask_at_once(app, ["a", "b", "c"])
    assert Counter(status for status, _ in answers) == {200: 1, 503: 2}
    assert "redis; fwd=uri-miss; detail=busy" in [said for _, said in answers]


@pytest.mark.parametrize("age", ["9" * 400, "1" * 20], ids=["endless", "long"])
def test_an_age_that_is_too_large_is_no_fault_of_ours(
    serve: Callable[..., str], counting: Counting, age: str
) -> None:
    counting.refuses = {"age": age}
    answer = get(serve(), "/content/a")
    assert (answer.status, answer.headers["age"]) == (429, str(2**31))
