"""Which stack there is to choose, and why one was chosen."""

from __future__ import annotations

import os
from typing import Final

import docker
from docker.errors import DockerException, ImageNotFound

from compose.docker.project import run_compose
from compose.docker.stack import DockerStack
from compose.local.stack import ProcessStack
from compose.stack import Stack, StackError

# By variable, what compose/parts.yaml and compose/Dockerfile take where it is not set.
BASE_IMAGES: Final = {"PYTHON_IMAGE": "python:3.13-slim-trixie", "REDIS_IMAGE": "redis:8.0"}


def choose(wanted: str) -> tuple[str, str]:
    """Return the name of the stack to use for `auto` or a name, and the reason.

    Raises:
        StackError: there is no such stack, or Docker was asked for and cannot be used.
    """
    if wanted == "processes":
        return "processes", "asked for"
    if wanted not in ("auto", "docker"):
        raise StackError(f"--stack {wanted}: unknown stack; use auto, docker or processes")
    missing = what_docker_lacks()
    if missing is None:
        return (
            "docker",
            "asked for" if wanted == "docker" else "a Docker engine answers, and the images are available",
        )
    if wanted == "docker":
        raise StackError(f"--stack docker: {missing} (see docs/stacks.md)")
    return "processes", missing


def what_docker_lacks() -> str | None:
    """Say what keeps Docker from being used here; None where nothing does."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException:
        return "no Docker engine answers"
    try:
        run_compose("version", within_s=10)
    except StackError:
        return "the engine answers, but Docker Compose v2 is missing"
    for variable, usual in BASE_IMAGES.items():
        name = os.environ.get(variable) or usual
        try:
            client.images.get(name)
        except ImageNotFound:
            try:
                client.images.pull(name)
            except DockerException:
                return f"the engine answers, but the image {name} is not available"
    return None


def open_stack(name: str, run_id: str) -> Stack:
    """Return the stack of this name, for one run.

    Raises:
        StackError: it cannot be used here.
    """
    stacks: dict[str, type[DockerStack] | type[ProcessStack]] = {
        "docker": DockerStack,
        "processes": ProcessStack,
    }
    if name not in stacks:
        raise StackError(f"unknown stack {name}; use docker or processes")
    return stacks[name](run_id)
