"""Manifests that run one variant on Kubernetes, 1.30 or newer."""

from __future__ import annotations

from compose.export.rendering import render
from compose.export.service import Service


def kubernetes(service: Service) -> dict[str, str]:
    """Return the files of the export by their names: `manifests.yaml`, and `secret.sh` for its secret."""
    facts = {"app_cpu": _millicores(service.app_cpus), "redis_cpu": _millicores(service.redis_cpus)}
    return {
        "manifests.yaml": render("kubernetes.yaml.j2", service, **facts),
        "secret.sh": render("secrets.sh.j2", service, in_kubernetes=True),
    }


def _millicores(cpus: float) -> str:
    return f"{max(1, round(cpus * 1000))}m"
