"""Builds wheels of one top-level name; all else about the project stands in pyproject.toml.

A wheel that owned `app/` or `reports/` would overwrite a user's own. So the folders of the checkout are put
under `sidecar_bench/rooms/`, from where `sidecar_bench.__main__` imports them by their plain names. An
editable installation maps them by these names: mypy, editors and tests read the checkout as it stands.
"""

from __future__ import annotations

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOMS = "sidecar_bench.rooms"
PLAIN = find_packages(
    include=[
        f"{room}{below}"
        for room in ("scenarios", "traffic", "simulation", "app", "loadtests", "compose", "reports", "bench")
        for below in ("", ".*")
    ]
)
# Whatever a room keeps beside its code: it reads it, or it is the Docker stack's build context.
DATA = ["*", "templates/*"]


class Build(build_py):
    """A wheel's contents."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Leave this file out, which lies beside the rooms."""
        return [] if package == ROOMS else super().find_package_modules(package, package_dir)


class Editable(editable_wheel):
    """An installation that follows the checkout."""

    def run(self) -> None:
        """Map the rooms by their own names."""
        self.distribution.packages = ["sidecar_bench", *PLAIN]
        self.distribution.package_dir = {}
        super().run()


setup(
    packages=["sidecar_bench", ROOMS, *(f"{ROOMS}.{name}" for name in PLAIN)],
    package_dir={"sidecar_bench": "sidecar_bench", ROOMS: "."},
    package_data={ROOMS: [".dockerignore"]} | {f"{ROOMS}.{name}": DATA for name in PLAIN},
    include_package_data=False,
    cmdclass={"build_py": Build, "editable_wheel": Editable},
)
