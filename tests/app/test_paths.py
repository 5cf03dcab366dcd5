"""No path leaves the configured upstream, however it is spelled."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import HITS, get, serving

from app.main import create_app
from app.names import PathError, target_of
from app.settings import Settings

SEEN: list[str] = []


async def noting(scope: dict[str, Any], _: Any, send: Any) -> None:
    """An upstream below /api that notes what it is asked for."""
    if scope["type"] == "http":
        SEEN.append(scope["raw_path"].decode("latin-1"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def app() -> Iterator[str]:
    with serving(noting) as upstream, serving(create_app(Settings(f"{upstream}/api")), HITS) as url:
        yield url


@pytest.mark.parametrize(
    "path",
    [
        "../secret", "a/../../secret", "%2e%2e/secret", "a/%2E%2E/b", "..%2fsecret", "a%2f..%2f..%2fsecret",
        "a%0d%0ab", "a%0a", "%0a", "./a",
        "a/.", "..", "%5c..%5csecret", "a%00b", "a%0d%0aHost:%20evil", "a%7f",
    ],
)  # fmt: skip
def test_tricks_are_refused_before_anything_is_asked(app: str, path: str) -> None:
    SEEN.clear()
    answer = get(app, f"/content/{path}")
    assert answer.status == 400
    assert answer.headers["cache-status"] == "redis; detail=refused"
    assert SEEN == []


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("repos/a/b", "/api/repos/a/b"),
        ("http://192.0.2.1/x", "/api/http://192.0.2.1/x"),
        ("//192.0.2.1/x", "/api///192.0.2.1/x"),
        ("@192.0.2.1/x", "/api/@192.0.2.1/x"),
        ("a%252e%252e/b", "/api/a%252e%252e/b"),
        ("caf%C3%A9", "/api/caf%C3%A9"),
        ("a%20b", "/api/a%20b"),
        ("a%2Fb", "/api/a%2Fb"),
        ("a%2fb", "/api/a%2fb"),
        ("%7Ea~", "/api/%7Ea~"),
        ("a//b/", "/api/a//b/"),
        ("a%zz", "/api/a%25zz"),
        ("%EF%BF%BD", "/api/%EF%BF%BD"),
        ("a%3Fb%23c", "/api/a%3Fb%23c"),
        ("...", "/api/..."),
        ("", "/api/"),
        ("a/", "/api/a/"),
    ],
)
def test_everything_else_stays_below_the_upstreams_url(app: str, path: str, asked: str) -> None:
    SEEN.clear()
    assert get(app, f"/content/{path}").status == 200
    assert [asked] == SEEN


@given(st.text(max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_refused_or_asked_for_as_it_is(app: str, text: str) -> None:
    try:
        encoded = quote(text, safe="/")
    except UnicodeEncodeError:
        return
    SEEN.clear()
    answer = get(app, f"/content/{encoded}")
    if answer.status == 200:
        assert [unquote(path) for path in SEEN] == [f"/api/{text}"]
    else:
        assert answer.status in (400, 404)
        assert SEEN == []


@given(
    st.text() | st.lists(st.sampled_from(["..", ".", "/", "%2F", "%2e", "%", "a", "%5C", "//"])).map("".join)
)
def test_what_is_asked_for_has_no_way_up_and_no_controls(text: str) -> None:
    try:
        path = target_of(text.encode(), b"")
    except (PathError, UnicodeEncodeError):
        return
    assert path.isascii()
    assert path.isprintable()
    assert not {".", ".."} & set(unquote(path).split("/"))
    assert not set("?#\\ ") & set(path)
    assert not set("\\\0\n") & set(unquote(path))


@given(st.binary(max_size=60))
def test_what_is_asked_for_is_what_was_sent(path: bytes) -> None:
    try:
        target = target_of(path, b"")
    except PathError:
        return
    assert unquote_to_bytes(target) == unquote_to_bytes(path)
    assert target_of(target.encode(), b"") == target


def test_a_very_long_path_is_no_fault_of_ours(app: str) -> None:
    assert get(app, "/content/" + "a" * 20_000).status == 200
