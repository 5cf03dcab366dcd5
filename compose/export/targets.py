"""What a variant can be exported to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from compose.export.compose_files import compose_files
from compose.export.ecs import ecs
from compose.export.kubernetes import kubernetes
from compose.export.service import Service

# Each returns files: text by name, relative to the folder that takes them.
TARGETS: Final[Mapping[str, Callable[[Service], dict[str, str]]]] = {
    "ecs": ecs,
    "kubernetes": kubernetes,
    "compose": compose_files,
}
