"""What a child gets of the user's surroundings: as little as possible, so that they reach no measurement.

A child's environment is built from a short list instead of inherited. `REDIS_HOST`, `WEB_CONCURRENCY` or
`PYTHONPATH` in the user's shell would otherwise change what is measured, or break it. A child of Python
imports only what is installed: neither the current folder nor the user's own site-packages come before it.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from compose.host import ownership
from compose.host.launch import OWNER_MARK, RUN_MARK

# Where the children run: a folder that holds no Python and that nobody needs to write to.
CWD: Final = "/"
# The folder of our packages, in a wheel or in a checkout: a child finds ours before others of their names.
ROOMS: Final = Path(__file__).parents[2]
# Needed to find programs, shared libraries (an interpreter may not start without) and room for files.
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
# Marks of whoever started the bench, such as a test: by them it finds all processes of its own.
_OURS: Final = "SIDECAR_BENCH_"
# Whom TLS trusts: for children that speak to services on other machines.
CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# What Docker's client needs to reach its engine and to pull and build images; parts.yaml reads the images'
# and the package index's names. Nothing else: COMPOSE_FILE, COMPOSE_PROFILES, DOCKER_DEFAULT_PLATFORM or
# a CACHE_TTL of the user's would make another deployment out of the same file.
_FOR_DOCKER: Final = (
    "HOME", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION", "DOCKER_BUILDKIT", "BUILDX_BUILDER", "SSH_AUTH_SOCK", *CERTIFICATES,
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "PYTHON_IMAGE", "REDIS_IMAGE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST",
)  # fmt: skip
_ENGINE: Final = "unix:///var/run/docker.sock"


def environment(run_id: str, *, passed_on: Sequence[str] = (), **more: str) -> dict[str, str]:
    """Return a child's environment: the marks of run and owner, the names passed on, and `more`."""
    built = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
    built |= _existing((*_PASSED_ON, *passed_on))
    if _from_user_site():
        built |= _existing(("HOME",))
    built |= {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    built["PYTHONPATH"] = str(ROOMS)
    return built | {RUN_MARK: run_id, OWNER_MARK: str(ownership.own())} | more


def python(*arguments: str) -> list[str]:
    """Return the command that runs a module, such as `-m uvicorn …`, and imports only what is installed."""
    return [sys.executable, "-P", *([] if _from_user_site() else ["-s"]), *arguments]


def docker_environment() -> dict[str, str]:
    """Return the environment of `docker compose`: for the very engine that the Python library asks."""
    # Without it the command line would follow the user's current context, and the library would not.
    host = os.environ.get("DOCKER_HOST") or _ENGINE
    return _existing((*_PASSED_ON, *_FOR_DOCKER)) | {"LC_ALL": "C.UTF-8", "DOCKER_HOST": host}


def _existing(names: Sequence[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _from_user_site() -> bool:
    """Tell whether the bench itself was installed with `pip install --user`."""
    return bool(site.ENABLE_USER_SITE) and Path(__file__).is_relative_to(site.getusersitepackages())
