"""Scenario files: what they may say, and what is said when they are wrong."""

from pathlib import Path

import pytest

from scenarios.reading import document
from scenarios.reading.document import ScenarioError


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", [name for name in document.library() if name != "access-log"])
def test_every_scenario_of_the_library_can_be_used_as_it_is(name: str) -> None:
    scenario = document.load(name)
    assert scenario.name == name
    assert len(scenario.variants) >= 2


def test_the_access_log_scenario_asks_for_the_log() -> None:
    with pytest.raises(ScenarioError, match=r"--set workload\.log="):
        document.load("access-log")


def test_lists_make_a_matrix() -> None:
    scenario = document.load("quick", {"cache.ttl": [5, "1h"], "replicas": [1, 2]})
    assert len(scenario.variants) == 8
    assert scenario.factors["cache.ttl"] == [5.0, 3600.0]
    assert {(v.topology, v.cache.ttl, v.replicas) for v in scenario.variants} == {
        (t, ttl, r) for t in ("sidecar", "separate") for ttl in (5.0, 3600.0) for r in (1, 2)
    }


def test_a_topology_does_not_vary_by_what_it_does_not_use() -> None:
    scenario = document.load(
        "quick", {"topology": ["sidecar", "separate", "none"], "link.rtt_ms": [0, 0.3, 1]}
    )
    assert [v.id for v in scenario.variants] == [
        "sidecar", "separate-rtt_ms0", "separate-rtt_ms0.3", "separate-rtt_ms1", "none",
    ]  # fmt: skip


def test_levels_written_differently_but_equal_are_one_variant() -> None:
    scenario = document.load("quick", {"topology": "separate", "link.rtt_ms": ["300us", 0.3]})
    assert [v.id for v in scenario.variants] == ["separate-rtt_ms0.3"]


def test_a_log_named_in_a_file_is_looked_for_beside_that_file(tmp_path: Path) -> None:
    scenario = document.load(written(tmp_path, "name: mine\nworkload: {log: access.log}\n"))
    assert scenario.variants[0].workload.log == tmp_path / "access.log"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: mine\ncache:\n  tll: 5\n", r"line 3, cache\.tll: unknown field; known fields: .*ttl"),
        ("name: mine\ntopolgy: sidecar\n", r"line 2, topolgy: unknown field; known fields: .*topology"),
        ("name: mine\ncache: {ttl: 5 parsecs}\n", r"line 2, cache\.ttl: '5 parsecs' cannot be read"),
        ("name: mine\ncache: 5\n", r"line 2, cache: "),
        ("name: mine\ncache: {ttl: 0}\n", r"cache\.ttl: .*greater than 0 \(it is 0\.0\)"),
        ("name: mine\nreplicas: []\n", r"line 2, replicas: an empty list"),
        ("name: mine\nreplicas: [1, 1]\n", r"line 2, replicas: a level is listed twice"),
        (
            "name: mine\nreplicas: [[1], 2]\n",
            r"line 2, replicas: each level of a factor must be a single "
            r"value",
        ),
        ("name: mine\nseed: [1, 2]\n", r"line 2, seed: "),
        (f"name: mine\nreplicas: {list(range(1, 66))}\n", r"65 of replicas make 65 variants; at most 64"),
        (
            "name: mine\nlink: {rtt_ms: [0, 1]}\n",
            r"line 2, link\.rtt_ms: none of the compared topologies uses it",
        ),
        ("topology: sidecar\n", r"name: Field required"),
        ("name: Not A Name\n", r"line 1, name: "),
        ("- a\n- b\n", "a scenario is a mapping"),
        ("", "a scenario is a mapping"),
        ("name: [\n", "line 2: not valid YAML"),
        ("name: mine\nworkload: {speedup: 5}\n", "line 2, workload: `speedup` needs `arrivals: log`"),
    ],
)
def test_a_wrong_scenario_is_told_where_and_why(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        document.load(written(tmp_path, text))


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        document.load(written(tmp_path, "name: mine\ncache: {tll: 5}\nreplicas: 0\n"))
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_scenario_names_the_library() -> None:
    with pytest.raises(ScenarioError, match=r"one of: .*quick"):
        document.load("qwick")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read"):
        document.load(str(path))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("cache.ttl=5", ("cache.ttl", 5)),
        ("cache.ttl=[5, 1h]", ("cache.ttl", [5, "1h"])),
        ("workload.log=a=b.log", ("workload.log", "a=b.log")),
        ("workload.log=20250314", ("workload.log", "20250314")),
        ("workload.log='a.log'", ("workload.log", "a.log")),
        ("workload.log=[a.log, b.log]", ("workload.log", ["a.log", "b.log"])),
        ("workload.log=[x].log", ("workload.log", "[x].log")),
    ],
)
def test_an_assignment_is_a_name_and_a_yaml_value(text: str, read: tuple[str, object]) -> None:
    assert document.parse_assignment(text) == read


@pytest.mark.parametrize("text", ["cache.ttl", "=5", "cache.ttl=[", ""])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match="--set"):
        document.parse_assignment(text)


def test_an_override_through_a_value_is_refused() -> None:
    with pytest.raises(ScenarioError, match="replicas is a value"):
        document.load("quick", {"replicas.count": 3})


def test_labels_make_two_variants_of_equal_settings() -> None:
    scenario = document.load("quick", {"topology": "separate", "label": ["a", "b"]})
    assert [v.id for v in scenario.variants] == ["separate-a", "separate-b"]
    first, second = (v.model_dump(exclude={"id", "label", "levels"}) for v in scenario.variants)
    assert first == second


@pytest.mark.parametrize(
    ("stated", "most"),
    [
        ({}, None),
        ({"schedule.budget": "10m"}, 20),
        ({"precision": {"p50": "5%"}}, 20),
        ({"precision": {"p50": "5%"}, "schedule.most_blocks": 7}, 7),
        ({"schedule.budget": 600, "schedule.blocks": 400}, 1000),
    ],
)
def test_blocks_are_added_where_it_is_said_what_for_or_for_how_long(
    stated: dict[str, object], most: int | None
) -> None:
    assert document.load("ttl-sweep", stated).schedule.most_blocks == most


def test_variants_that_would_have_one_name_are_numbered() -> None:
    near = document.load("quick", {"topology": "sidecar", "cache.ttl": [0.12345671, 0.12345672]})
    assert [variant.id for variant in near.variants] == ["sidecar-ttl0.123457", "sidecar-ttl0.123457-2"]


def test_an_id_is_a_name_for_a_folder_whatever_a_log_is_called(tmp_path: Path) -> None:
    logs = [str(tmp_path / name) for name in ("a b[1]#\n.log", "{x}/../y.log", "é'$(x).log")]
    read = document.load("quick", {"topology": "none", "workload.log": logs})
    assert [variant.id for variant in read.variants] == [
        "none-loga_b_1_.log",
        "none-logy.log",
        "none-log_x_.log",
    ]
