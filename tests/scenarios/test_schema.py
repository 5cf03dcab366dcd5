"""The published JSON Schema: in step with the models, and of one mind with them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scenarios.reading import document
from scenarios.reading.schema import PATH, written

SCHEMA = json.loads(PATH.read_text())


def test_the_published_schema_is_that_of_the_models() -> None:
    assert PATH.read_text() == written(), "run: python -m scenarios.reading.schema"


@pytest.mark.parametrize("path", document.library().values(), ids=lambda path: path.stem)
def test_the_library_fits_the_schema_and_names_it_for_editors(path: Path) -> None:
    text = path.read_text()
    jsonschema.validate(yaml.safe_load(text), SCHEMA)
    assert text.startswith("# yaml-language-server: $schema=./schema.json\n")


@pytest.mark.parametrize(
    "fields",
    [
        {"topology": "sidcar"},
        {"cache": {"tll": 5}},
        {"replicas": "two"},
        {"replicas": [1, 1]},
        {"topology": []},
        {"seed": [1, 2]},
        {"nonsense": 1},
    ],
)
def test_what_the_models_refuse_the_schema_refuses(fields: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", **fields}))
    with pytest.raises(document.ScenarioError):
        document.load(str(path))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "mine", **fields}, SCHEMA)
