"""The upstream's own count, read from a URL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import serving

from compose.external.upstream_count import read
from compose.stack import StackError

pytestmark = pytest.mark.served
ANSWERS = {
    "/plain": b" 1234\n",
    "/float": b"12.0",
    "/json": b'{"upstream": [{"calls": 7}], "x.y": 1}',
    "/metrics": b'# TYPE calls counter\ncalls_total{path="a"} 3\ncalls_total{path="b"} 4\nother 9\n',
    "/nonsense": b"<html>",
    "/query?all=1": b"5",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    async def answer(scope, receive, send) -> None:
        asked = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        body = ANSWERS.get(asked)
        await send({"type": "http.response.start", "status": 404 if body is None else 200, "headers": []})
        await send({"type": "http.response.body", "body": body or b""})

    with serving(answer, lifespan="off") as served:
        yield served


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("/plain", 1234), ("/float", 12), ("/json#upstream.0.calls", 7), ("/metrics#calls_total", 7),
        ('/metrics#calls_total{path="b"}', 4), ("/metrics#other", 9), ("/query?all=1", 5),
    ],
)  # fmt: skip
def test_a_number_a_counter_or_a_place_in_json_is_read(url: str, path: str, count: int) -> None:
    assert read(url + path) == count


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/missing", "status 404"),
        ("/nonsense", "a plain number"),
        ("/json", "a plain number"),
        ("/json#upstream.1.calls", "no count under #upstream.1.calls"),
        ("/json#upstream", "no count under #upstream"),
        ("/metrics#nothing", "no count under #nothing"),
        ("/nonsense#calls_total", "no count under #calls_total"),
    ],
)
def test_what_is_no_count_is_said(url: str, path: str, said: str) -> None:
    with pytest.raises(StackError, match=said):
        read(url + path)


def test_a_url_that_nobody_answers_is_said() -> None:
    with pytest.raises(StackError, match="cannot be read"):
        read("http://127.0.0.1:1/count")
