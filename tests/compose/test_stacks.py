"""Which stack is taken, and why."""

from pathlib import Path

import pytest

from compose import stacks
from compose.local.stack import ProcessStack
from compose.stack import StackError


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a machine on which no engine answers."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


@pytest.mark.usefixtures("no_engine")
def test_auto_takes_local_processes_where_no_engine_answers() -> None:
    assert stacks.choose("auto") == ("processes", "no Docker engine answers")


@pytest.mark.usefixtures("no_engine")
def test_docker_asked_for_in_vain_is_an_error_that_names_the_remedy() -> None:
    with pytest.raises(StackError, match=r"--stack docker: no Docker engine answers .*docs/stacks\.md"):
        stacks.choose("docker")
    with pytest.raises(StackError, match="no Docker engine answers"):
        stacks.open_stack("docker", "run")


@pytest.mark.parametrize("lacks", ["Docker Compose v2 is missing", "the image redis:8.0 cannot be had"])
def test_what_docker_lacks_is_the_reason_for_local_processes(
    lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "what_docker_lacks", lambda: lacks)
    assert stacks.choose("auto") == ("processes", lacks)


def test_auto_takes_docker_where_nothing_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "what_docker_lacks", lambda: None)
    assert stacks.choose("auto")[0] == "docker"
    assert stacks.choose("docker") == ("docker", "asked for")


def test_local_processes_are_taken_when_asked_for() -> None:
    assert stacks.choose("processes") == ("processes", "asked for")
    with stacks.open_stack("processes", "run") as stack:
        assert isinstance(stack, ProcessStack)


@pytest.mark.parametrize("ask", [stacks.choose, lambda name: stacks.open_stack(name, "run")])
def test_another_stack_there_is_not(ask: object) -> None:
    with pytest.raises(StackError, match="unknown stack"):
        ask("kubernetes")  # type: ignore[operator]
