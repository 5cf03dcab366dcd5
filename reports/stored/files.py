"""The files of a stored run: written whole, and read with errors that name file and field.

What is read need not be what this version wrote, nor what any version did.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from reports.errors import ResultsError
from reports.stored.records import SCHEMA

Model = TypeVar("Model", bound=BaseModel)
# What a version says of a field, or of a value, that a later one has added.
_UNKNOWN: Final = ("extra_forbidden", "literal_error", "enum", "union_tag_invalid")
_MOST_NAMED: Final = 3


def parse(kind: type[Model], path: Path, remedy: str) -> Model:
    """Read a file of a stored run; `remedy` is what to do where it is damaged.

    Raises:
        FileNotFoundError: there is none.
        ResultsError: it cannot be read, is damaged, or was written by a newer version.
    """
    try:
        text = path.read_bytes()
        found = kind.model_validate_json(text)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except ValidationError as error:
        raise ResultsError(f"{path}: {_why(error, _raw(text), remedy)}") from error
    _check_version(path, _raw(text))
    return found


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is either whole or as it was; a link in its place is replaced, not followed.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        unfinished.unlink(missing_ok=True)
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _check_version(path: Path, raw: Mapping[str, Any]) -> None:
    version = raw.get("schema_version", SCHEMA)
    if version != SCHEMA:
        raise ResultsError(
            f"{path}: was written by {_writer(raw)} (format {version}, and this one reads up to {SCHEMA}); "
            "read it with that one"
        )


def _raw(text: bytes) -> Mapping[str, Any]:
    try:
        found = from_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _why(error: ValidationError, raw: Mapping[str, Any], remedy: str) -> str:
    errors = error.errors(include_url=False, include_context=False)
    if all(each["type"] in _UNKNOWN for each in errors):
        named = [_place(each["loc"]) for each in errors]
        more = ", …" if len(named) > _MOST_NAMED else ""
        return (
            f"has fields that this sidecar-bench ({_own_version()}) does not know: "
            f"{', '.join(named[:_MOST_NAMED])}{more}; it was written by {_writer(raw)}: read it with that one"
        )
    first = errors[0]
    at = f" at {place}" if (place := _place(first["loc"])) else ""
    return f"is damaged{at} ({first['msg']}); {remedy}"


def _writer(raw: Mapping[str, Any]) -> str:
    environment = raw.get("environment")
    versions = environment.get("versions") if isinstance(environment, dict) else None
    version = versions.get("sidecar-bench") if isinstance(versions, dict) else None
    if isinstance(version, str) and version != _own_version():
        return f"sidecar-bench {version[:40]}"
    return "a newer sidecar-bench"


def _own_version() -> str:
    return metadata.version("sidecar-bench")


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)
