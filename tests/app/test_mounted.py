"""Mounted, behind a root path or a proxy, the app asks its upstream for what it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from origins import Origin
from servers import RedisServer, free_port, get, serving
from ways import WAYS, served

from app.main import create_app
from app.service import CachingService
from app.settings import Settings

pytestmark = [pytest.mark.served, pytest.mark.usefixtures("patient")]


@pytest.fixture(scope="module")
def origin() -> Origin:
    return Origin()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Settings]:
    redis = RedisServer(tmp_path_factory.mktemp("redis"), free_port())
    redis.start()
    with serving(origin) as upstream:
        yield Settings(upstream, redis_host="127.0.0.1", redis_port=redis.port, redis_password=redis.password)
    redis.stop()


def said(url: str, path: str) -> str:
    return get(url, path).headers["cache-status"]


def outer(app: CachingService) -> FastAPI:
    outer = FastAPI()
    outer.mount("/cache", app)
    return outer


@pytest.mark.parametrize("way", WAYS)
def test_mounted_it_asks_for_what_is_below_its_own_prefix(
    settings: Settings, origin: Origin, way: str
) -> None:
    with served(outer(create_app(settings)), way) as url:
        first = get(url, f"/cache/content/mounted%2F{way}?a=b")
        assert first.headers["cache-status"].endswith("stored")
        assert origin.paths[-1] == f"/mounted%2F{way}?a=b"
        assert "hit" in said(url, f"/cache/content/mounted%2F{way}?a=b")
        assert get(url, f"/content/mounted%2F{way}").status == 404
    # It is the same resource as the one that is asked for without a prefix.
    with served(create_app(settings), way) as url:
        assert "hit" in said(url, f"/content/mounted%2F{way}?a=b")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("prefix", ["", "/api", "/api/content"])
def test_behind_a_proxy_that_strips_a_prefix_or_not_the_same_is_asked_for(
    settings: Settings, origin: Origin, way: str, prefix: str
) -> None:
    """uvicorn puts its root path before what it is asked for; other servers pass it on as it is."""
    with served(create_app(settings), way, root_path=prefix) as url:
        path = f"/content/a%2Fb/{way}{prefix}"
        get(url, path)
        assert origin.paths[-1] == f"/a%2Fb/{way}{prefix}"
        assert "hit" in said(url, path)
        if way in ("hypercorn", "granian"):
            assert "hit" in said(url, prefix + path)


def test_without_a_raw_path_the_decoded_one_is_asked_for(settings: Settings, origin: Origin) -> None:
    app = create_app(settings)

    async def rewriting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].replace("/old/", "/content/")}
        await app(scope, receive, send)

    with serving(rewriting) as url:
        get(url, "/old/b%20c%2Fd")
        assert origin.paths[-1] == "/b%20c/d"


def test_an_application_that_is_served_again_has_a_cache_again(settings: Settings) -> None:
    app = create_app(settings)
    for _ in range(2):
        with serving(app) as url:
            assert get(url, "/content/twice").status == 200
            assert "hit" in said(url, "/content/twice")
