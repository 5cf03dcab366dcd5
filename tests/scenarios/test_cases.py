"""Cases: variants that differ in several fields at once, each held against the first."""

from pathlib import Path

import pytest

from reports.inference.comparisons import pairs
from scenarios.reading import document
from scenarios.reading.document import ScenarioError

MINE = """
name: mine
topology: separate
cache:
  ttl: 5s
cases:
  plain: {}
  stale:
    cache: {stale_while_revalidate: 2s, single_flight: on}
  slow:
    upstream: {latency_ms: 300}
    replicas: 4
"""


def loaded(folder: Path, text: str) -> document.Scenario:
    path = folder / "mine.yaml"
    path.write_text(text)
    return document.load(str(path))


def test_a_case_is_what_stands_above_with_its_own_fields_changed(tmp_path: Path) -> None:
    plain, stale, slow = loaded(tmp_path, MINE).variants
    assert (plain.id, stale.id, slow.id) == ("separate-plain", "separate-stale", "separate-slow")
    assert stale.cache == plain.cache.model_copy(update={"stale_while_revalidate": 2.0})
    assert (slow.cache, slow.replicas, slow.upstream.latency_ms) == (plain.cache, 4, 300.0)


def test_each_case_is_held_against_the_first(tmp_path: Path) -> None:
    found = [(pair.a.label, pair.b.label) for pair in pairs(loaded(tmp_path, MINE))]
    assert found == [("plain", "stale"), ("plain", "slow")]


def test_cases_and_lists_multiply(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, MINE.replace("topology: separate", "topology: [sidecar, separate]"))
    assert len(scenario.variants) == 6
    assert {(pair.a.topology, pair.b.topology, pair.a.label == pair.b.label) for pair in pairs(scenario)} == {
        ("sidecar", "separate", True)
    }
    assert [pair.setting for pair in pairs(scenario)] == ["plain", "stale", "slow"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("{latency_ms: 300}", "{latencyms: 300}"), r"line 11, upstream\.latencyms: unknown field"),
        (
            ("{latency_ms: 300}", "{latency_ms: [1, 2]}"),
            r"line 11, cases\.slow\.upstream\.latency_ms: .*both",
        ),
        (("ttl: 5s", "stale_while_revalidate: [0, 1s]"), r"line 9, cases\.stale\.cache\.stale_wh.*: .*both"),
        (("topology: separate", "label: mine"), r"line 3, label: cases already set the label"),
        (("slow:", "Slow:"), r"line 10, cases\.Slow"),
    ],
)
def test_what_is_wrong_with_a_case_is_said_where_it_stands(
    change: tuple[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ScenarioError, match=said):
        loaded(tmp_path, MINE.replace(*change))
