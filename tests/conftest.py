"""What all tests share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from bench.session import measuring

# A busy machine makes an example slow; that is no fault of what is tested.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

_FOLDER = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Let runs of these tests wait for none but each other: others may measure on this machine.

    Before any test module is read: some copy the environment there.
    """
    config.stash[_FOLDER] = folder = tempfile.TemporaryDirectory(prefix="tests-lock-")
    os.environ[measuring.TESTS] = str(Path(folder.name) / measuring.FILE)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing of it."""
    os.environ.pop(measuring.TESTS, None)
    config.stash[_FOLDER].cleanup()
