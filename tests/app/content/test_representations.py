"""What a client is given of a resource, and what is taken for the same one: in each way, on each server."""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from origins import Origin
from servers import Answer, RedisServer, get, serving
from ways import WAYS, served

from app.main import create_app
from app.settings import Settings

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("patient")]


@dataclass
class Site:
    """The app, served in one of the ways, and its upstream."""

    url: str
    origin: Origin
    way: str

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return get(self.url, f"/content/{path}", method, **headers)

    def hit(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask twice, so that the answer is a hit."""
        self.get(path)
        answer = self.get(path, method, **headers)
        assert "; hit" in answer.headers["cache-status"]
        return answer


@contextlib.contextmanager
def sited(redis: RedisServer, way: str, origin: Origin, **settings: Any) -> Iterator[Site]:
    where: dict[str, Any] = {"redis_port": redis.port, "redis_password": redis.password}
    with serving(origin) as upstream:
        app = create_app(Settings(upstream, redis_host="127.0.0.1", **where, **settings))
        with served(app, way) as url:
            yield Site(url, origin, way)


@pytest.fixture(scope="module", params=WAYS)
def site(request: pytest.FixtureRequest, lasting_redis: RedisServer) -> Iterator[Site]:
    with sited(lasting_redis, request.param, Origin(), negative_ttl_s=60) as site:
        yield site


@pytest.fixture(autouse=True)
def plain(request: pytest.FixtureRequest) -> None:
    """Let the upstream answer as it did at first."""
    if "site" in request.fixturenames:
        origin = request.getfixturevalue("site").origin
        origin.status, origin.headers, origin.body = 200, {}, b"first"


PROTECTING = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "content-disposition": 'attachment; filename="a.txt"',
    "cache-control": "private, max-age=60, s-maxage=60",
    "x-frame-options": "deny",
    "referrer-policy": "no-referrer",
    "permissions-policy": "geolocation=()",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex",
    "content-language": "en",
    "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}


def test_headers_that_protect_callers_are_passed_on(site: Site) -> None:
    site.origin.headers = PROTECTING
    for answer in (site.get("protected"), site.hit("protected"), site.hit("protected", "HEAD")):
        assert PROTECTING.items() <= answer.headers.items()


def test_headers_that_speak_of_another_origin_or_connection_are_not(site: Site) -> None:
    site.origin.headers = {
        "set-cookie": "session=1", "strict-transport-security": "max-age=9", "alt-svc": 'h3=":443"',
        "access-control-allow-origin": "*", "x-ratelimit-remaining": "1000", "clear-site-data": '"*"',
        "location": "http://192.0.2.1/", "proxy-authenticate": "Basic", "server": "theirs",
    }  # fmt: skip
    for answer in (site.get("others"), site.hit("others")):
        assert not {*site.origin.headers} - {"server"} & {*answer.headers}
        assert answer.headers.get("server") != "theirs"


@pytest.mark.parametrize("status", [429, 403, 503])
def test_a_refusal_says_for_how_long(site: Site, status: int) -> None:
    with contextlib.ExitStack() as stack:
        # The quota is its own: what is learnt of it must not close the others' upstream.
        own = stack.enter_context(serving(site.origin))
        url = stack.enter_context(served(create_app(Settings(own)), site.way))
        site.origin.status, site.origin.headers = status, {"retry-after": "17"}
        answer = get(url, "/content/refused")
        assert (answer.status, answer.headers["retry-after"]) == (status, "17")


SAME = ['"first"', 'W/"first"', '"x", "first"', '"x",W/"first" , "y"', "*", ' "first" ', '"a,b", "first"']
OTHER = ['"second"', 'W/"second"', '"x", "y"', "first", '""', '"first', '"Firs', "", '"a"first"']


@pytest.mark.parametrize("tags", SAME)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_has_it_is_told_so(site: Site, tags: str, method: str) -> None:
    site.origin.headers = {"cache-control": "private", "content-type": "text/plain"}
    answer = site.hit("conditional", method, if_none_match=tags)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == '"first"'
    assert answer.headers["cache-control"] == "private"
    assert re.fullmatch(r"redis; hit; ttl=\d+", answer.headers["cache-status"])
    assert answer.headers["age"].isdecimal()
    assert not {"content-length", "content-type", "transfer-encoding"} & {*answer.headers}


@pytest.mark.parametrize("tags", OTHER)
def test_who_has_another_is_given_it(site: Site, tags: str) -> None:
    answer = site.hit("conditional", if_none_match=tags)
    assert (answer.status, answer.body) == (200, b"first")


def test_who_has_it_is_told_so_on_a_miss_too(site: Site) -> None:
    answer = site.get("conditional-miss", if_none_match='"first"')
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["cache-status"].endswith("fwd-status=200; stored")
    assert b"if-none-match" not in site.origin.asked[-1], "it is the whole response that is stored"


def test_what_is_not_there_is_not_what_anybody_has(site: Site) -> None:
    site.origin.status = 404
    answer = site.hit("nothing", if_none_match="*")
    assert answer.status == 404


def test_what_has_no_tag_is_had_by_nobody_but_whoever_has_any(site: Site) -> None:
    site.origin.headers = {"etag": ""}
    site.origin.body = b"untagged"
    assert site.hit("untagged", if_none_match='"other"').status == 200
    assert site.hit("untagged", if_none_match="*").status == 304


def test_the_connection_is_of_use_after_a_304(site: Site) -> None:
    site.get("kept")
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=10)
    for tag, status in [('"first"', 304), ("x", 200), ("*", 304), ("x", 200)]:
        connection.request("GET", "/content/kept", headers={"if-none-match": tag})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (status, b"first" if status == 200 else b"")
    connection.close()


DIFFERENT = [
    "a/b",
    "a%2Fb",
    "a%2fb",
    "/a/b",
    "a//b",
    "a/b/",
    "a/b?",
    "a/b?x",
    "a/b?x=1",
    "a/b?x=%31",
    "%61/b",
    "a/b;c",
]


def test_each_path_as_sent_is_a_resource_of_its_own(site: Site) -> None:
    different = [path for path in DIFFERENT if path != "a/b?"]  # no server tells that from no query at all
    site.origin.paths.clear()
    for path in different:
        assert site.get(f"identity/{path}").headers["cache-status"].endswith("stored"), path
    assert site.origin.paths == [f"/identity/{path}" for path in different]
    for path in different:
        assert "; hit" in site.get(f"identity/{path}").headers["cache-status"]
    assert "; hit" in site.get("identity/a/b?").headers["cache-status"]


@pytest.mark.parametrize(
    "path", ["..", "a/../b", "%2e%2e/b", "a%2F..%2Fb", "a/%2e", "a%5Cb", "a%00", "%ff", "a%0a"]
)
def test_what_would_leave_the_upstream_is_refused(site: Site, path: str) -> None:
    before = len(site.origin.paths)
    answer = site.get(path)
    assert answer.status == 400
    assert b"a path " in answer.body
    assert len(site.origin.paths) == before


BROKEN = ["cut short", "longer", "no status", "no number", "no envelope", "a list"]


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_stored_and_broken_is_overwritten(site: Site, lasting_redis: RedisServer, how: str) -> None:
    """In every way it is a miss: neither believed, nor waited for, nor passed on."""
    path = f"broken/{how.replace(' ', '-')}/{site.way}"
    site.get(path)
    key = next(key for key in keys(lasting_redis) if key.endswith(path))
    stored = lasting_redis.raw("GET", key)
    wrong = {
        "cut short": stored[:-3], "longer": stored + b"HTTP/1.1 200 OK\r\n\r\n",
        "no status": stored[:4] + b"\0\0" + stored[6:],
        "no number": stored[:22] + b"\x7f\xf8\0\0\0\0\0\0" + stored[30:], "no envelope": b"something else",
    }.get(how)  # fmt: skip
    lasting_redis.raw("DEL", key)
    if wrong is None:
        lasting_redis.raw("RPUSH", key, "a list")
    else:
        lasting_redis.raw("SET", key, wrong)
    answer = site.get(path)
    assert (answer.status, answer.body) == (200, b"first")
    assert answer.headers["cache-status"] == "redis; fwd=uri-miss; fwd-status=200; stored"
    assert "; hit" in site.get(path).headers["cache-status"]


def keys(redis: RedisServer) -> list[str]:
    return redis.raw("KEYS", "content:*").decode().split("\n")
