"""What a variant can be exported to."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from compose.export.service import Service

Exporter = Callable[[Service], dict[str, str]]

# By name, since one export has no need of the others' templates.
_EXPORTERS: Final = {
    "ecs": ("compose.export.ecs", "ecs"),
    "kubernetes": ("compose.export.kubernetes", "kubernetes"),
    "compose": ("compose.export.compose_files", "compose_files"),
}
TARGETS: Final = tuple(_EXPORTERS)


def files(target: str, service: Service) -> dict[str, str]:
    """Return the files of an export: text by name, relative to the folder that takes them.

    Raises:
        KeyError: there is no such target.
        StackError: the target cannot have the service as it is.
    """
    module, name = _EXPORTERS[target]
    exporter: Exporter = getattr(importlib.import_module(module), name)
    return exporter(service)
