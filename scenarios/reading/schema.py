"""The JSON Schema of scenario files, made from the models, for editors that complete and check.

`python -m scenarios.reading.schema` regenerates `scenarios/schema.json`; a test keeps the two in step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from scenarios.model import RunSettings, Settings

PATH: Final = Path(__file__).parents[1] / "schema.json"


def schema() -> dict[str, Any]:
    """Return the schema: each field of a variant takes one value or a list of levels."""
    run = RunSettings.model_json_schema()
    variant = Settings.model_json_schema()
    run_definitions = run.pop("$defs", {})
    variant_definitions = variant.pop("$defs", {})
    models = {name: _with_lists(model) for name, model in variant_definitions.items()}
    run["properties"]["cases"]["additionalProperties"] = {
        "type": "object", "properties": variant["properties"], "additionalProperties": False,
    }  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sidecar-bench scenario",
        "type": "object",
        "additionalProperties": False,
        "required": run.get("required", []),
        "properties": run["properties"] | _with_lists(variant)["properties"],
        "$defs": run_definitions | models,
    }


def _with_lists(model: dict[str, Any]) -> dict[str, Any]:
    return {**model, "properties": {name: _or_list(field) for name, field in model["properties"].items()}}


def _or_list(field: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in field or "allOf" in field:
        return field
    notes = {key: value for key, value in field.items() if key in ("title", "description", "default")}
    level = {key: value for key, value in field.items() if key not in notes}
    levels = {"type": "array", "items": level, "minItems": 1, "uniqueItems": True}
    return notes | {"anyOf": [level, levels]}


def written() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False, default=str) + "\n"


if __name__ == "__main__":
    PATH.write_text(written(), encoding="utf-8")
