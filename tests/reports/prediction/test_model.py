from __future__ import annotations

import jsonschema

from reports.prediction import model


def test_the_published_schema_is_current() -> None:
    assert model.SCHEMA_PATH.read_text(encoding="utf-8") == model.written(), (
        "run: python -m reports.prediction.model"
    )


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(model.schema())
