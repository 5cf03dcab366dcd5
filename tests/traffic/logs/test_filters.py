"""What is taken of a log, and what its keys are: all that is left out is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from access_logs import line, written
from hypothesis import given
from hypothesis import strategies as st

from traffic.logs import AccessLog, LogError, Reading, read


def asked(log: AccessLog) -> list[str]:
    return [log.resources[key].decode() for key in log.keys.tolist()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(
        tmp_path,
        line("/users/1?utm_source=a&x=1", 0),
        line("/users/2?x=1", 60, status=404),
        line("/items/3?filter[x]=1&utm_medium=b", 120, method="HEAD"),
        line("/items/3", 180, status=304),
        line("/items/3", 240, method="POST"),
    )


@pytest.mark.parametrize(
    ("reading", "left", "reason"),
    [
        (
            Reading(path_regex="^/users/"),
            ["/users/1?utm_source=a&x=1", "/users/2?x=1"],
            "--path-regex ^/users/",
        ),
        (Reading(path_regex="x=1$"), ["/users/1?utm_source=a&x=1", "/users/2?x=1"], "--path-regex x=1$"),
        (Reading(methods=("head",)), ["/items/3?filter[x]=1&utm_medium=b"], "not of --method HEAD"),
        (Reading(statuses=("4xx",)), ["/users/2?x=1"], "not of --status 4xx"),
        (Reading(statuses=("304,400-404",)), ["/users/2?x=1", "/items/3"], "not of --status 304, 400-404"),
        (Reading(since="2025-03-14T09:03"), ["/items/3"], "before --since"),
        (Reading(until="2025-03-14T09:01:00Z"), ["/users/1?utm_source=a&x=1"], "not before --until"),
        (Reading(since="2025-03-14T10:01:00+01:00", until="2025-03-14T09:01:01"), ["/users/2?x=1"], "before"),
    ],
)
def test_what_a_filter_leaves_out_is_counted_with_the_first(
    path: Path, reading: Reading, left: list[str], reason: str
) -> None:
    log = read([path], reading)
    assert asked(log) == left
    facts = log.facts
    assert facts.lines == facts.requests + sum(kind.lines for kind in facts.left_out) == 5
    assert facts.resources == len(log.resources) == len(set(left))
    assert any(kind.reason.startswith(reason) and kind.first.startswith("/") for kind in facts.left_out)


@pytest.mark.parametrize(
    ("reading", "keys"),
    [
        (
            Reading(strip_query=("utm_*",)),
            ["/users/1?x=1", "/users/2?x=1", "/items/3?filter[x]=1", "/items/3"],
        ),
        (Reading(strip_query=("*",)), ["/users/1", "/users/2", "/items/3", "/items/3"]),
        (
            Reading(strip_query=("filter[x], utm_medium",)),
            ["/users/1?utm_source=a&x=1", "/users/2?x=1", "/items/3", "/items/3"],
        ),
        (
            Reading(strip_query=("utm_*", "filter[x]"), key_rewrites=(r"^/users/\d+→/users/N",)),
            ["/users/N?x=1", "/users/N?x=1", "/items/3", "/items/3"],
        ),
        (
            Reading(key_rewrites=(r"^/(?P<kind>\w+)/(\d+).* => $1-\g<kind>-$2",)),
            ["/users-users-1", "/users-users-2", "/items-items-3", "/items-items-3"],
        ),
    ],
)
def test_keys_are_what_the_user_says_they_are(path: Path, reading: Reading, keys: list[str]) -> None:
    log = read([path], reading)
    assert asked(log) == keys
    assert log.facts.resources == len(set(keys))
    assert any(f"{len(set(keys))} are left" in remark for remark in log.facts.remarks)


def test_a_host_stays_in_front_of_a_key_that_is_rewritten(tmp_path: Path) -> None:
    log = read(
        [written(tmp_path, line("/a/1?x", before="a.example:443 192.0.2.1 - -"))],
        Reading(path_regex="^/a", strip_query=("x",), key_rewrites=("/1=>",)),
    )
    assert asked(log) == ["http://a.example:443/a"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path_regex": "("}, r"--path-regex '\(': is not a regular expression \(missing \)"),
        ({"methods": ("POST",)}, "--method POST: only GET and HEAD"),
        ({"statuses": ("ok",)}, "--status ok: is not a status"),
        ({"statuses": ("299-200",)}, "--status 299-200: ends before it begins; write 200-299"),
        ({"since": "yesterday"}, "--since yesterday: is not a time; write 2025-03-14"),
        ({"until": "2025-02-30"}, "--until 2025-02-30: is not a time"),
        ({"since": "2025-03-15", "until": "2025-03-14"}, "--until 2025-03-14: is not after --since"),
        ({"key_rewrites": ("/a",)}, "--key '/a': has no arrow"),
        ({"key_rewrites": ("(→x",)}, "--key '.': is not a regular expression"),
        ({"key_rewrites": ("a→$1",)}, "--key 'a→.1': the template is not valid"),
        ({"key_rewrites": (r"(?P<n>a)→\g<m>",)}, "the template is not valid"),
    ],
)
def test_an_option_that_is_wrong_is_named_with_the_reason(given: dict, said: str) -> None:
    with pytest.raises(LogError, match=said):
        Reading(**given)


def test_where_nothing_is_left_it_is_said_which_filter_took_what(path: Path) -> None:
    with pytest.raises(
        LogError, match=r"access\.log: no request .* remains \(2 × before --since .*2 × not of --status"
    ):
        read([path], Reading(since="2025-03-14T09:02", statuses=("500",)))


def test_each_client_is_a_number(tmp_path: Path) -> None:
    before = ["192.0.2.1 - -", "198.51.100.7 - frank", "192.0.2.1:4711 - -", "2001:db8::1 - -", "- - -"]
    lines = [line("/a", number, before=one) for number, one in enumerate(before)]
    log = read([written(tmp_path, *lines)])
    assert log.clients.tolist() == [0, 1, 0, 2, -1]
    assert log.facts.clients == 3


QUERIES = st.lists(st.sampled_from(["a=1", "b=2", "ab", "a", "", "=", "%61=3", "b=a=1"]), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["/x", "/y", "/"]), QUERIES), min_size=1, max_size=9))
def test_stripping_a_parameter_leaves_all_others_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, targets: list[tuple[str, list[str]]]
) -> None:
    written_as = [path + ("?" + "&".join(query) if query else "") for path, query in targets]
    lines = [line(target, number) for number, target in enumerate(written_as)]
    log = read([written(tmp_path_factory.mktemp("log"), *lines)], Reading(strip_query=("a",)))
    expected = []
    for path, query in targets:
        kept = [part for part in query if part.partition("=")[0] not in ("a", "%61")]
        expected.append(path + ("?" + "&".join(kept) if kept else ""))
    assert asked(log) == expected
    assert log.facts.asked_once == list(Counter(expected).values()).count(1)
