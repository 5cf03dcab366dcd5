"""Request headers that select a representation are part of the key; all others play no part."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from origins import Origin
from servers import Answer, RedisServer, eventually, get, serving
from ways import WAYS, served

from app.main import create_app
from app.names import Names
from app.settings import ConfigurationError, Settings

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("patient")]


class Versions(Origin):
    """An upstream whose body depends on `Accept`, as GitHub's does."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            accept = dict(scope["headers"]).get(b"accept", b"")
            self.body = scope["raw_path"] + b" as " + accept
        await super().__call__(scope, receive, send)


@dataclass
class Site:
    """The app, served in one of the ways, and its upstream."""

    url: str
    origin: Origin

    def get(self, path: str, **headers: str) -> Answer:
        return get(self.url, f"/content/{path}", **headers)


@contextlib.contextmanager
def sited(redis: RedisServer, way: str, origin: Origin, **settings: Any) -> Iterator[Site]:
    where: dict[str, Any] = {"redis_port": redis.port, "redis_password": redis.password}
    with serving(origin) as upstream:
        app = create_app(Settings(upstream, redis_host="127.0.0.1", **where, **settings))
        with served(app, way) as url:
            yield Site(url, origin)


ACCEPTS = ["application/vnd.github.raw+json", "application/vnd.github.html", "application/json;version=1"]


@pytest.mark.parametrize("way", WAYS)
def test_headers_that_select_are_passed_on_and_are_part_of_the_key(redis: RedisServer, way: str) -> None:
    with sited(redis, way, Versions(), vary=("accept",)) as site:
        for accept in ACCEPTS:
            answer = site.get("versions", accept=accept)
            assert answer.body == b"/versions as " + accept.encode()
            assert answer.headers["vary"] == "accept"
        for accept in ACCEPTS:
            answer = site.get("versions", accept=accept, accept_language="de", user_agent="x", cookie="a=b")
            assert answer.body == b"/versions as " + accept.encode()
            assert "; hit" in answer.headers["cache-status"]
            assert answer.headers["vary"] == "accept"
            etag = answer.headers["etag"]
            assert site.get("versions", accept=accept, if_none_match=etag).status == 304
        assert not any(b"cookie" in asked or b"accept-language" in asked for asked in site.origin.asked)
        # However it is written, it is the same; and no header is the same as any type.
        for accept in [
            "application/vnd.GitHub.html",
            " application/vnd.github.html ,",
            ",application/vnd.github.html",
        ]:
            assert "; hit" in site.get("versions", accept=accept).headers["cache-status"]
        assert site.get("versions").body == b"/versions as */*"
        assert "; hit" in site.get("versions", accept="*/*").headers["cache-status"]


@pytest.mark.parametrize("way", WAYS)
def test_without_them_all_clients_are_given_the_same(redis: RedisServer, way: str) -> None:
    with sited(redis, way, Versions()) as site:
        for accept in ACCEPTS:
            answer = site.get("versions", accept=accept)
            assert answer.body == b"/versions as */*"
            assert "vary" not in answer.headers
        assert len(site.origin.asked) == 1


def test_a_304_and_what_is_stale_are_of_the_same_representation(redis: RedisServer) -> None:
    settings = {"vary": ("accept",), "ttl_s": 0.2, "ttl_jitter": 0.0, "revalidate_s": 60.0}
    with sited(redis, "fast", Versions(), **settings) as site:
        for accept in ACCEPTS:
            site.get("expiring", accept=accept)
        for accept in ACCEPTS:
            assert eventually(
                lambda accept=accept: (
                    "fwd-status=304" in site.get("expiring", accept=accept).headers["cache-status"]
                )
            )
            assert site.get("expiring", accept=accept).body == b"/expiring as " + accept.encode()


def test_the_variable_names_headers() -> None:
    read = Settings.from_environment
    where = {"UPSTREAM_URL": "http://127.0.0.1:1"}
    assert read(where).vary == ()
    assert read(where | {"CACHE_VARY": "Accept, accept-language,accept ,"}).vary == (
        "accept",
        "accept-language",
    )


@pytest.mark.parametrize(
    "wrong",
    ["authorization", "Cookie", "if-none-match", "accept encoding", "*", "accept:", "content-type", "te"],
)
def test_what_cannot_select_is_refused_by_name(wrong: str) -> None:
    if wrong == "*":
        wrong = "(*)"
    with pytest.raises(ConfigurationError, match="CACHE_VARY: .*" + re.escape(wrong.lower())):
        Settings.from_environment({"UPSTREAM_URL": "http://127.0.0.1:1", "CACHE_VARY": wrong})


@pytest.mark.parametrize("value", [b"a/b\xff", b"a\x00b", b"\xc3\xa9"])
def test_what_is_no_text_selects_nothing(value: bytes) -> None:
    names = Names(Settings("http://127.0.0.1:1", vary=("accept",)))
    assert names.resource("a", [(b"accept", value)]) == names.resource("a")


def test_no_value_is_taken_for_another_part_of_a_key() -> None:
    names = Names(Settings("http://127.0.0.1:1", vary=("accept", "accept-language")))
    one = names.resource("a", [(b"accept", b"a/b accept-language=c")])
    other = names.resource("a", [(b"accept", b"a/b"), (b"accept-language", b"c")])
    assert one.key != other.key
    assert names.resource("a%20accept=b").key != names.resource("a", [(b"accept", b"b")]).key
    assert other.selecting == (("accept", "a/b"), ("accept-language", "c"))
