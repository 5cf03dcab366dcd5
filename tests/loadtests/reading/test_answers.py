"""What answers of services that are not ours say of their caches."""

from __future__ import annotations

import pytest

from loadtests.reading.answers import Reader
from scenarios.contract import Contract, HitRule
from scenarios.outcomes import OUTCOMES, REASONS


def head(status: int, *lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} X", "Date: now", *lines)).lower().encode()


def read(status: int, *lines: str, contract: Contract | None = None) -> tuple[str, str, str]:
    reader = Reader(contract or Contract())
    said = reader.read(status, head(status, *lines))
    return OUTCOMES[said.outcome], REASONS[said.reason], reader.sources[said.told_by]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("X-Cache: ONLINE_HIT", "hit"),
        ("X-Cache: ONLINE_MISS", "miss"),
        ("X-Cache: Hit from cloudfront", "hit"),
        ("X-Cache: Miss from cloudfront", "miss"),
        ("X-Cache: RefreshHit from cloudfront", "miss"),
        ("X-Cache: HIT, MISS", "miss"),
        ("X-Cache: MISS, HIT", "hit"),
        ("X-Cache: TCP_HIT from a23-1-2-3.deploy.example (AkamaiGHost/1)", "hit"),
        ("X-Cache: TCP_MISS from hit.example", "miss"),
        ("X-Cache: STALE_HIT", "stale"),
        ("X-Cache: cache-lhr-EGLL1", "unknown"),
        ("X-Proxy-Cache: HIT", "hit"),
        ("X-Proxy-Cache: EXPIRED", "miss"),
        ("X-Cache-Status: UPDATING", "stale"),
        ("CF-Cache-Status: DYNAMIC", "bypass"),
        ("CF-Cache-Status: HIT", "hit"),
        ("X-Vercel-Cache: STALE", "stale"),
        ("X-FastAPI-Cache: MISS", "miss"),
        ("Age: 7", "hit"),
        ("Age: 0", "unknown"),
        ("Age: soon", "unknown"),
        ("X-Other: HIT", "unknown"),
    ],
)
def test_headers_are_known_by_name(line: str, expected: str) -> None:
    told_by = line.partition(":")[0].lower()
    assert read(200, line) == (expected, "", told_by if expected != "unknown" else "")


def test_the_first_known_header_that_says_something_is_believed() -> None:
    assert read(200, "X-Cache: MISS", "Age: 5", "Cache-Status: c; hit") == ("hit", "", "cache-status")
    assert read(200, "Age: 5", "X-Cache: MISS") == ("miss", "", "x-cache")
    assert read(200, "X-Cache: what", "Age: 5") == ("hit", "", "age")


def test_a_malformed_cache_status_is_said_and_nobody_else_is_believed() -> None:
    assert read(200, "Cache-Status: c; fwd=", "X-Cache: HIT") == (
        "unknown", "Cache-Status unreadable", "cache-status",
    )  # fmt: skip


def test_several_lines_of_a_header_are_one_list() -> None:
    lines = ("Cache-Status: origin; hit", "Other: x", "Cache-Status: edge; fwd=uri-miss")
    assert read(200, *lines)[0] == "miss"
    assert read(200, *lines, contract=Contract(cache="origin"))[0] == "hit"
    assert read(200, *lines, contract=Contract(cache="none of them"))[0] == "unknown"
    assert read(200, "X-Cache: MISS", "X-Cache: HIT")[0] == "hit"


RULED = Contract(rules=(HitRule(header="X-Cache", glob="*_HIT"), HitRule(header="X-Cache", glob="fresh*")))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["X-Cache: ONLINE_HIT"], ("hit", "", "x-cache")),
        (["x-cache: Fresh as ever"], ("hit", "", "x-cache")),
        (["X-Cache: HIT"], ("miss", "", "x-cache")),
        (["Cache-Status: c; hit"], ("unknown", "", "")),
    ],
)
def test_rules_of_the_user_count_alone(lines: list[str], expected: tuple[str, str, str]) -> None:
    assert read(200, *lines, contract=RULED) == expected


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 403, 407, 408, 429])
@pytest.mark.parametrize("line", ["X-Cache: HIT", "Cache-Status: c; hit", "X-Other: 1"])
def test_a_redirect_or_a_refusal_is_no_hit(status: int, line: str) -> None:
    outcome, reason, _ = read(status, line)
    assert (outcome, reason) == ("error", "redirect" if status < 400 else "status")


def test_what_a_cache_forwarded_is_a_call_whatever_came_of_it_unless_statuses_count() -> None:
    assert read(403, "Cache-Status: redis; fwd=uri-miss; fwd-status=403")[0] == "miss"
    strict = Contract(statuses=True)
    assert read(403, "Cache-Status: c; fwd=uri-miss; fwd-status=403", contract=strict)[:2] == (
        "error", "status",
    )  # fmt: skip


@pytest.mark.parametrize("status", [200, 206, 304, 400, 404, 410])
def test_other_statuses_are_answers(status: int) -> None:
    assert read(status, "X-Cache: HIT")[0] == "hit"
    assert read(status)[0] == "unknown"


def test_a_path_has_a_place_for_the_key() -> None:
    assert Contract().path_of("a/b") == "/content/a/b"
    assert Contract(path="/github/{key}").path_of("/repos/x") == "/github/repos/x"
    assert Contract(path="/find?q={key}&raw=1").path_of("x") == "/find?q=x&raw=1"
    for path in ("github/{key}", "/github", "/{key}/{key}", "/a b/{key}", "/é/{key}"):
        with pytest.raises(ValueError, match=r"has \{key\} once"):
            Contract(path=path)
