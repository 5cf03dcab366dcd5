"""What is in an image for everybody to see is found, wherever it is, and never repeated."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from engines import needs_engine

from compose.docker.image_scan import UnreadableError, scan
from compose.docker.project import run_compose

COMPOSE = Path(__file__).parents[3] / "compose"
SCAN = COMPOSE / "docker" / "image_scan.py"
VALUE = "hunter2-is-no-password"
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB\n"


def tar_of(files: Mapping[str, bytes], compressed: bool = False) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz" if compressed else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def image(
    files: Mapping[str, bytes] | None = None,
    environment: list[str] | None = None,
    history: list[str] | None = None,
    compressed: bool = False,
) -> io.BytesIO:
    """Write an image as `docker save` does: its configuration, and a layer."""
    config: dict[str, Any] = {
        "config": {"Env": environment or [], "Labels": None},
        "history": [{"created_by": step} for step in history or []],
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return io.BytesIO(
        tar_of(
            {
                "blobs/sha256/aaaa": json.dumps(config).encode(),
                "blobs/sha256/bbbb": tar_of(files or {}, compressed),
                "manifest.json": json.dumps(
                    [{"Config": "blobs/sha256/aaaa", "Layers": ["blobs/sha256/bbbb"]}]
                ).encode(),
            }
        )
    )


def found(saved: io.BytesIO) -> list[str]:
    findings = [str(finding) for finding in scan(saved)]
    assert not any(VALUE in finding for finding in findings)
    return findings


def test_a_clean_image_is_clean() -> None:
    environment = ["PATH=/venv/bin:/usr/bin", "GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305", "PWD=/srv"]
    history = ["ENV PATH=/venv/bin", "RUN TOKEN=$(cat /run/secrets/token) pip install", "COPY app app"]
    assert found(image({"srv/app/main.py": b"x = 1"}, [*environment, "REDIS_PWD="], history)) == []


@pytest.mark.parametrize(
    "name",
    [
        "REDIS_PWD", "REDISPWD", "REDIS_PASSWORD", "REDIS_PASS", "REDIS_AUTH", "REDIS_PASSWORD_PROD",
        "UPSTREAM_TOKEN", "client_secret", "API_KEY", "SECRET_KEY",
    ],
)  # fmt: skip
def test_a_secret_in_the_environment_is_found(name: str) -> None:
    assert found(image(environment=[f"{name}={VALUE}"])) == [f"environment: {name}: a secret's value"]


@pytest.mark.parametrize(
    "step",
    [
        f"ENV REDIS_PWD={VALUE}",
        f"RUN |1 REDIS_PWD={VALUE} /bin/sh -c pip install # buildkit",
        f"|2 A=b REDIS_PWD={VALUE} /bin/sh -c true",
        f'ARG REDIS_PWD="{VALUE}"',
    ],
)
def test_a_secret_in_the_history_is_found(step: str) -> None:
    assert found(image(history=["FROM scratch", step])) == ["history, step 2: REDIS_PWD: a secret's value"]


def test_a_file_that_names_its_secret_elsewhere_is_none() -> None:
    assert found(image(environment=["REDIS_PWD_FILE=/run/secrets/redis-password"])) == []


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("srv/.env", b"A=b", "a file that holds secrets"),
        ("root/.ssh/id_ed25519", b"x", "a file that holds secrets"),
        ("srv/key.pem", KEY, "a private key"),
        ("srv/settings.py", b"KEY = 'AKIA" + b"Q" * 16 + b"'", "an AWS access key"),
        ("srv/settings.py", b"TOKEN = 'ghp_" + b"a1" * 18 + b"'", "a GitHub token"),
    ],
)
def test_a_secret_in_a_layer_is_found(name: str, content: bytes, kind: str, compressed: bool) -> None:
    assert found(image({name: content}, compressed=compressed)) == [f"layer bbbb: {name}: {kind}"]


def test_what_lies_across_two_chunks_is_found() -> None:
    content = b" " * ((1 << 20) - 30) + KEY
    assert found(image({"srv/large": content})) == ["layer bbbb: srv/large: a private key"]


def test_a_password_in_a_url_is_found() -> None:
    url = f"REDIS_URL=redis://:{VALUE}@redis:6379/0"
    assert found(image(environment=[url])) == ["environment: REDIS_URL: a password in a URL"]
    assert found(image(environment=["REDIS_URL=redis://redis:6379/0"])) == []


def test_a_history_step_that_is_nothing_but_a_token_is_not_repeated() -> None:
    token = "ghp_" + "a1" * 18
    [finding] = found(image(history=[token]))
    assert finding == "history, step 1: its command: a GitHub token"


def test_a_layer_whose_first_file_looks_like_json_is_a_layer() -> None:
    assert found(image({"{x": b"", "srv/.env": b"A=b"})) == [
        "layer bbbb: srv/.env: a file that holds secrets"
    ]


def test_an_image_that_is_not_whole_is_not_called_clean() -> None:
    whole = image({"srv/app": bytes(100_000)}).getvalue()
    with pytest.raises((tarfile.TarError, UnreadableError)):
        list(scan(io.BytesIO(whole[: len(whole) // 2])))
    with pytest.raises(UnreadableError):
        list(scan(io.BytesIO(tar_of({"oci-layout": b"{}"}))))


def test_a_blob_that_is_neither_layer_nor_json_is_said_to_be() -> None:
    manifest = json.dumps([{"Config": "blobs/sha256/aaaa", "Layers": []}]).encode()
    saved = io.BytesIO(tar_of({"blobs/sha256/aaaa": b"neither", "manifest.json": manifest}))
    assert found(saved) == ["blob blobs/sha256/aaaa: its content: cannot be read"]


def test_looking_for_a_key_always_ends() -> None:
    began = time.monotonic()
    found(image({"srv/x": b"-----BEGIN PRIVATE KEY-----\n" + b"a:  " * 20_000}))
    assert time.monotonic() - began < 10


def test_a_header_without_a_key_is_none() -> None:
    assert found(image({"doc.md": b"it begins with -----BEGIN PRIVATE KEY----- and ends"})) == []


@pytest.fixture
def tag() -> Iterator[str]:
    name = f"sidecar-bench-scan-test:{uuid.uuid4().hex[:8]}"
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def scanned(image_name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCAN), image_name], capture_output=True, text=True, check=False
    )


def on_engine(test: Any) -> Any:
    for mark in needs_engine:
        test = mark(test)
    return test


@on_engine
@pytest.mark.long
def test_a_build_argument_stays_in_the_image_for_good(tag: str, tmp_path: Path) -> None:
    """The witness: what docs/secrets.md tells of `docker history` is what it prints."""
    dockerfile = "FROM redis:8.0\nARG REDIS_PWD\nENV REDIS_PWD=$REDIS_PWD\nRUN true\n"
    (tmp_path / "Dockerfile").write_text(dockerfile)
    build = ["docker", "build", "--build-arg", f"REDIS_PWD={VALUE}", "--tag", tag, str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True)
    history = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", tag]
    assert VALUE in subprocess.run(history, check=True, capture_output=True, text=True).stdout
    ended = scanned(tag)
    assert ended.returncode == 1
    assert "environment: REDIS_PWD: a secret's value" in ended.stdout
    assert "history, step" in ended.stdout
    assert VALUE not in ended.stdout + ended.stderr


@on_engine
@pytest.mark.long
def test_a_file_that_a_later_layer_empties_is_found(tag: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM redis:8.0\nUSER root\nCOPY .env /srv/\nRUN : > /srv/.env\n")
    (tmp_path / ".env").write_text(f"REDIS_PWD={VALUE}\n")
    subprocess.run(["docker", "build", "--tag", tag, str(tmp_path)], check=True, capture_output=True)
    ended = scanned(tag)
    assert ended.returncode == 1
    assert "srv/.env: a file that holds secrets" in ended.stdout


@on_engine
def test_the_apps_own_image_holds_none() -> None:
    run_compose("--file", str(COMPOSE / "none.yaml"), "build", "app", within_s=280)
    ended = scanned("sidecar-bench/app")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_an_image_that_is_not_there_is_said_to_be() -> None:
    ended = scanned("sidecar-bench-scan-test:nowhere")
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
