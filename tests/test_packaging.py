"""What is installed: every package, whatever rooms it is in."""

import tomllib
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).parents[1]


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = {pattern.removesuffix("*") for pattern in settings["packages"]["find"]["include"]}
    found = set(find_packages(str(ROOT), include=settings["packages"]["find"]["include"]))
    there = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for room in rooms
        for file in (ROOT / room).rglob("__init__.py")
    }
    assert found == there
    assert {"traffic.logs", "reports.calls"} <= found
