"""What a variant costs a month."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reports.cost.monthly import Tasks, Traffic, cost, mean_body_bytes, tasks
from reports.cost.prices import DEFAULT, read_prices
from reports.errors import ResultsError
from scenarios.model import Cache, Resources, Upstream, Variant

PRICES = read_prices()
TRAFFIC = Traffic(requests_per_s=100, hit_ratio=0.8, calls_per_request=0.2, body_bytes=1000)
TOPOLOGIES = st.sampled_from(["sidecar", "separate", "none"])


def variant(topology: str = "sidecar", **fields: object) -> Variant:
    return Variant.model_validate({"id": "v", "levels": {}, "topology": topology, **fields})


def test_sidecars_are_paid_within_the_apps_tasks() -> None:
    found = cost(variant("sidecar", replicas=2), PRICES, TRAFFIC)
    assert found.app_tasks == Tasks(2, 1.0, 2048)
    assert found.redis_tasks is None
    # 2 × (1 × 0.04048 + 2 × 0.004445) × 730
    assert found.total == found.app == pytest.approx(72.0802)


def test_a_separate_redis_is_one_task_more_and_its_traffic_crosses_zones() -> None:
    found = cost(variant("separate", replicas=2), PRICES, TRAFFIC)
    assert (found.app_tasks, found.redis_tasks) == (Tasks(2, 1.0, 2048), Tasks(1, 1.0, 2048))
    assert found.app == pytest.approx(72.0802)
    assert found.redis == pytest.approx(36.0401)
    # 262.8 million requests of 300 + 1,000 bytes, two thirds of them across zones, paid at both ends
    assert found.between_zones == pytest.approx(4.5552)
    assert found.total == pytest.approx(112.6755)


def test_without_a_cache_the_app_alone_is_paid() -> None:
    found = cost(variant("none", replicas=2), PRICES, TRAFFIC)
    assert found.total == found.app == pytest.approx(72.0802)


def test_the_sidecar_can_take_the_task_to_the_next_size() -> None:
    resources = Resources(cpus=1.0, memory=2048 * 1024 * 1024)
    assert tasks(variant("none", replicas=1, resources=resources))[0] == Tasks(1, 1.0, 2048)
    assert tasks(variant("sidecar", replicas=1, resources=resources))[0] == Tasks(1, 2.0, 4096)


def test_calls_answered_with_304_do_not_count_against_a_quota() -> None:
    half_free = Traffic(100, 0.8, 0.2, 1000, free_ratio=0.5)
    assert cost(variant(), PRICES, TRAFFIC).calls_per_hour == pytest.approx(72_000)
    found = cost(variant(), PRICES, half_free)
    assert found.calls_per_hour == pytest.approx(36_000)
    assert found.quota_share(5000) == pytest.approx(7.2)


def test_the_mean_of_log_normal_bodies_lies_above_their_median() -> None:
    assert mean_body_bytes(variant(upstream=Upstream(body=1000, body_spread=0))) == 1000
    # 1000 · e^(1/2)
    assert mean_body_bytes(variant(upstream=Upstream(body=1000, body_spread=1))) == pytest.approx(1648.7213)


@given(TOPOLOGIES, st.integers(1, 63))
def test_more_replicas_cost_more(topology: str, replicas: int) -> None:
    fewer = cost(variant(topology, replicas=replicas), PRICES, TRAFFIC)
    more = cost(variant(topology, replicas=replicas + 1), PRICES, TRAFFIC)
    assert more.total > fewer.total


@given(TOPOLOGIES, st.integers(1, 64), st.integers(1_000_000, 4_000_000_000))
def test_arm_is_cheaper_than_x86(topology: str, replicas: int, maxmemory: int) -> None:
    priced = variant(topology, replicas=replicas, cache=Cache(maxmemory=maxmemory))
    assert cost(priced, PRICES, TRAFFIC, "arm").total < cost(priced, PRICES, TRAFFIC).total


@given(st.floats(0, 1), st.floats(0, 1))
def test_traffic_that_crosses_more_never_costs_less(one: float, other: float) -> None:
    low, high = (
        cost(variant("separate"), PRICES, Traffic(100, 0.8, 0.2, 1000, crossing=share)).between_zones
        for share in sorted((one, other))
    )
    assert low <= high


@pytest.mark.parametrize(
    ("room", "field", "wrong"),
    [("x86", "vcpu_hour", -1), ("arm", "gb_hour", "free"), ("between_zones", "source", None)],
)
def test_wrong_prices_are_refused_with_file_and_field(
    tmp_path: Path, room: str, field: str, wrong: object
) -> None:
    written = yaml.safe_load(DEFAULT.read_text())
    written[room][field] = wrong
    path = tmp_path / "ours.yaml"
    path.write_text(yaml.safe_dump(written))
    with pytest.raises(ResultsError, match=rf"ours\.yaml: {room}\.{field}: "):
        read_prices(path)


@pytest.mark.parametrize("text", ["", "- a list", "currency: [", "\x00"])
def test_what_holds_no_prices_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(text)
    with pytest.raises(ResultsError, match=r"ours\.yaml: "):
        read_prices(path)


def test_a_file_of_prices_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"none\.yaml"):
        read_prices(tmp_path / "none.yaml")
