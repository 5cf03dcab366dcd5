"""Tests in real containers: skipped with a reason where no engine answers, required where CI says so."""

from __future__ import annotations

import os

import pytest

from compose import stacks

LACKS = stacks.what_docker_lacks()
_REQUIRED = bool(os.environ.get("SIDECAR_BENCH_REQUIRE_ENGINE"))

needs_engine = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.skipif(LACKS is not None and not _REQUIRED, reason=f"no containers here: {LACKS}"),
]
