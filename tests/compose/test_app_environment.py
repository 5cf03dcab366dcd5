"""What a variant tells its app: every feature, so that the app's own defaults play no part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from app.settings import Settings
from compose.app_environment import app_environment
from scenarios.model import Variant

# What each stack adds: where Redis is. No stub wants a token.
_NOT_OF_A_VARIANT = ("REDIS_", "UPSTREAM_TOKEN")


class Noting(Mapping[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def variables(**settings: Any) -> dict[str, str]:
    return app_environment(Variant(id="v", levels={}, **settings), "http://127.0.0.1:1")


def test_every_variable_that_the_app_reads_is_set() -> None:
    environment = Noting(variables())
    Settings.from_environment(environment)
    assert {name for name in environment.asked if not name.startswith(_NOT_OF_A_VARIANT)} == set(environment)


def test_every_feature_is_as_the_scenario_says() -> None:
    cache = {
        "ttl": 7, "ttl_jitter": 0.2, "single_flight": False, "lease": True, "lease_wait": "250ms",
        "revalidate": 11, "stale_while_revalidate": 12, "stale_if_error": 13, "negative_ttl": 14, "l1": 15,
        "max_body": "10KB", "vary": "accept",
    }  # fmt: skip
    found = Settings.from_environment(variables(cache=cache, upstream={"concurrency": 3, "reserve": 4}))
    assert found == Settings(
        "http://127.0.0.1:1", ttl_s=7, ttl_jitter=0.2, single_flight=False, lease=True, lease_wait_s=0.25,
        revalidate_s=11, stale_while_revalidate_s=12, stale_if_error_s=13, negative_ttl_s=14, l1_s=15,
        most_bytes=10_000, vary=("accept",), upstream_concurrency=3, upstream_reserve=4,
    )  # fmt: skip
    told = [field.name for field in dataclasses.fields(found) if not field.name.startswith("redis")]
    untold = [name for name in told if getattr(found, name) == getattr(Settings("http://127.0.0.1:1"), name)]
    assert untold == ["upstream_url", "lease", "upstream_token"]


def test_by_itself_nothing_but_the_users_holds_calls_back() -> None:
    found = Settings.from_environment(variables(workload={"users": 77}))
    assert (found.upstream_concurrency, found.upstream_reserve) == (77, 10)
    assert found.lease_wait_s == Settings("http://127.0.0.1:1").lease_wait_s
    assert found.most_bytes > 1_048_576
