"""A Compose file that runs one variant on a single host. It needs nothing of this repository."""

from __future__ import annotations

from typing import Final

from compose.export.rendering import render
from compose.export.service import Service

_FIRST_PORT: Final = 8001  # of the host's loopback; each replica has one


def compose_files(service: Service) -> dict[str, str]:
    """Return the files of the export by their names: `compose.yaml`, and `secrets.sh` for its secrets."""
    facts = {
        "first_port": _FIRST_PORT,
        "app_cpus": _cpus(service.app_cpus),
        "redis_cpus": _cpus(service.redis_cpus),
    }
    return {
        "compose.yaml": render("compose.yaml.j2", service, **facts),
        "secrets.sh": render("secrets.sh.j2", service, in_kubernetes=False),
    }


def _cpus(cpus: float) -> str:
    return f"{max(0.01, cpus):.2f}"
