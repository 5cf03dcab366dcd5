from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from scenarios.reading import document, schema
from scenarios.thresholds import Side, Thresholds, parse

MINE = {"name": "mine", "topology": ["sidecar", "separate"]}


def test_a_threshold_is_read_as_it_is_said() -> None:
    found = parse("separate.p50 <= sidecar.p50_ms * 1.1")
    assert (found.left, found.right) == (Side("separate", "p50_ms"), Side("sidecar", "p50_ms"))
    assert (found.at_most, found.bound, found.factor) == (True, None, 1.1)
    assert parse("upstream_reduction >= 80%").bound == pytest.approx(0.8)
    assert parse("separate-rtt0.3.p99 <= 20").left == Side("separate-rtt0.3", "p99_ms")
    assert not parse("hit_ratio >= 0.5").at_most
    assert parse("separate.p50_ms <= sidecar.p50_ms").factor == 1


@pytest.mark.parametrize(
    "written", ["p99_ms <= fast", ["p99_ms <= 20", "p99_ms <= fast"], [5], {"p99_ms": {"max": "fast"}}]
)
def test_a_field_of_thresholds_refuses_what_is_none(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Thresholds).validate_python(written)


@pytest.mark.parametrize(
    "text", ["", "p99_ms", "p99_ms = 3", "p98_ms <= 3", "p99_ms <= fast", "p99_ms <= 3 * 2"]
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|not a metric"):
        parse(text)


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ({"p99_ms": {"max": 20}, "hit_ratio": {"min": "50%"}}, ("p99_ms <= 20", "hit_ratio >= 50%")),
        (["p99_ms <= 20", {"hit_ratio": {"min": 0.5}}], ("p99_ms <= 20", "hit_ratio >= 0.5")),
    ],
)
def test_mappings_and_sentences_mean_the_same(tmp_path: Path, written: Any, texts: tuple[str, ...]) -> None:
    path = tmp_path / "mine.yaml"
    fields = {**MINE, "thresholds": written}
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    jsonschema.validate(fields, schema.schema())
    scenario = document.load(str(path))
    assert scenario.thresholds == texts
    assert type(scenario).model_validate_json(scenario.model_dump_json()) == scenario


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"thresholds": ["p98 <= 3"]}, "not a metric"),
        ({"thresholds": {"p99_ms": {"most": 3}}}, "write {max"),
        ({"thresholds": ["none.p99 <= 3"]}, "no variant 'none'"),
        ({"schedule": {"blocks": 5, "most_blocks": 4}}, "less than `blocks`"),
        ({"margin": {"p50": "5 parrots"}}, "cannot be read"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, fields: Any, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**MINE, **fields}))
    with pytest.raises(document.ScenarioError, match=r"mine\.yaml, line \d+") as error:
        document.load(str(path))
    assert said in str(error.value)


def test_shares_are_read_in_percent_and_points(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**MINE, "precision": {"p50": "5%", "p99": 0.15, "hit_ratio": "1pp"}}))
    precision = document.load(str(path)).precision
    assert (precision.p50, precision.p99, precision.hit_ratio) == (0.05, 0.15, 0.01)


@pytest.mark.parametrize("written", [{}, {"p99_ms": {}}, {"p99_ms": {"most": 20}}, [{}], [5]])
def test_editors_are_told_which_mappings_are_none(written: object) -> None:
    validator = jsonschema.Draft202012Validator(TypeAdapter(Thresholds).json_schema())
    assert not validator.is_valid(written)
    assert validator.is_valid({"p99_ms": {"max": 20}})
    assert validator.is_valid(["p99_ms <= 20", {"hit_ratio": {"min": 0.5, "max": "90%"}}])
