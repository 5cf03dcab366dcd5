"""What the bench knows of the app stands in its contract, and nowhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from app.main import create_app
from app.settings import Settings
from scenarios.contract import OUR_APP

ROOT = Path(__file__).parents[2]
KNOWN = {
    OUR_APP.image, OUR_APP.application, OUR_APP.protocol, OUR_APP.alive, OUR_APP.ready,
    OUR_APP.contract.metrics, *OUR_APP.counters.model_dump().values(), OUR_APP.contract.path,
    OUR_APP.contract.prefix,
}  # fmt: skip


@pytest.mark.parametrize("room", ["compose", "bench", "reports", "loadtests", "traffic", "simulation"])
def test_no_other_module_repeats_it(room: str) -> None:
    repeated = [
        f"{path.relative_to(ROOT)}, line {node.lineno}: {node.value}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in KNOWN
    ]
    assert repeated == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "compose/export/templates").glob("*.j2")), ids=lambda path: path.name
)
def test_no_template_repeats_it(path: Path) -> None:
    text = "\n".join(line for line in path.read_text().splitlines() if not line.strip().startswith("#"))
    for word in (OUR_APP.alive, OUR_APP.ready, f":{OUR_APP.port}", OUR_APP.contract.prefix + "*"):
        assert word not in text, word


def test_what_cannot_ask_it_agrees_with_it() -> None:
    """Files for Docker by hand, and the app itself."""
    docker = (ROOT / "compose/Dockerfile").read_text()
    assert f"EXPOSE {OUR_APP.port}\n" in docker
    assert f'CMD ["{OUR_APP.application}", "--http", "{OUR_APP.protocol}"]' in docker
    assert re.search(rf'"--port", "{OUR_APP.port}"', docker)
    assert f"http://127.0.0.1:{OUR_APP.port}{OUR_APP.alive}" in docker
    parts = yaml.safe_load((ROOT / "compose/parts.yaml").read_text())
    assert parts["services"]["app"]["image"] == OUR_APP.image
    for name in ("none", "sidecar", "separate"):
        assert f"127.0.0.1::{OUR_APP.port}" in (ROOT / f"compose/{name}.yaml").read_text()
    app = create_app(Settings(upstream_url="http://127.0.0.1:1"))
    paths = {getattr(route, "path", "") for route in app.routes}
    assert {OUR_APP.alive, OUR_APP.ready, OUR_APP.contract.metrics} <= paths
    assert any(path.startswith(OUR_APP.contract.prefix) for path in paths)
