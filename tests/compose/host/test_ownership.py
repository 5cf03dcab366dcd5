"""Where a run's temporary files are, whatever TMPDIR says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from commands import sidecar_bench

from compose.host import ownership

LONG = "x" * 90
each_odd_name = pytest.mark.parametrize(
    "odd", ['a"b', "a b", "$HOME:x", "é", LONG, "a\nport 1"], indirect=True
)


@pytest.fixture
def odd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a TMPDIR whose name a socket, a mount or a configuration file would stumble on."""
    folder = tmp_path / request.param
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(ownership, "_own", [])
    return folder


@each_odd_name
def test_sockets_and_settings_are_kept_out_of_an_odd_folder(odd: Path) -> None:
    folder = ownership.make_folder()
    assert len(str(folder / "redis-64.sock").encode()) <= 107
    assert ownership.own() in ownership.folders()
    assert list(odd.iterdir()) == []
    ownership.release()
    assert not folder.exists()


def test_a_plain_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as plain:
        monkeypatch.setattr(tempfile, "tempdir", plain)
        monkeypatch.setattr(ownership, "_own", [])
        assert ownership.own().parent == Path(plain)
        ownership.release()


@pytest.mark.served
@pytest.mark.parametrize("odd", ['a"b', LONG], indirect=True)
def test_a_run_works_with_an_odd_folder(odd: Path, tmp_path: Path) -> None:
    fields = ["--set", "cache.sidecar_transport=unix", "--duration", "1", "--blocks", "1", "--rate", "20"]
    ended = sidecar_bench("run", "quick", "--stack", "processes", *fields, cwd=tmp_path)
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr
