#!/usr/bin/env bash
# What a newcomer has: a fresh clone, another Python than the tests' own, no engine, and no Redis but the
# Valkey that comes along. Unit tests and `make run` have to pass there. Where no other Python is installed,
# it says so and passes.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'newcomer: %s\n' "$*" >&2; }

version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# Every Python by name on PATH, and in pyenv's folder, that can make an environment here.
others() {
    local own candidate found
    own=$(version "${PYTHON:-python3}")
    for candidate in python3.13 python3.12 python3.11 "$HOME"/.pyenv/versions/3.1[123]*/bin/python3; do
        candidate=$(command -v "$candidate") || continue
        found=$(version "$candidate") || continue  # a pyenv shim of a version that is not chosen
        [ "$found" != "$own" ] || continue
        if "$candidate" -c 'import pip, venv' 2>/dev/null; then echo "$candidate"; fi
    done
}

other=$(others | sed -n 1p)
if [ -z "$other" ]; then
    say "no second Python of 3.11 to 3.13, with pip, is installed here: not tried (GitHub's workflow has two)"
    exit 0
fi
if command -v redis-server >/dev/null || command -v valkey-server >/dev/null; then
    say "a Redis server is on PATH here, and is taken instead of the embedded one"
fi

clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone --quiet . "$clone"
cd "$clone"
say "Python $(version "$other") in a fresh clone"
timeout 1200 make install PYTHON="$other"
timeout 900 make unit PYTHON="$other"
# Where an engine answers, `make run` would take it.
DOCKER_HOST=unix:///nonexistent timeout 600 make run PYTHON="$other"
