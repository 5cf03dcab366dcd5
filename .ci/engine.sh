#!/usr/bin/env bash
# Brings up a Docker engine with Compose v2, buildx and the base images, from Debian's packages alone:
# for CI, and for people behind a firewall that lets no image registry through. Run as root; safe to repeat.
set -euo pipefail

readonly SUITE=trixie
readonly PLUGINS="${HOME}/.docker/cli-plugins"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'engine: %s\n' "$*" >&2; }

install_packages() {
    local missing=()
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The mirror that this machine uses for Debian itself.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' | grep -m1 -E '/debian/?$'
}

start_engine() {
    docker info >/dev/null 2>&1 && { say "an engine answers already"; return; }
    install_packages docker.io iptables ca-certificates
    # Kernels without nf_tables' NAT still have the older tables.
    iptables -t nat -L >/dev/null 2>&1 || update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
    say "starting dockerd"
    setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &
    for _ in $(seq 300); do
        docker info >/dev/null 2>&1 && return
        sleep 0.1
    done
    tail -n 20 /var/log/dockerd.log >&2
    say "dockerd did not start; its last words are above"
    exit 1
}

# Debian 12's own Compose is version 1; the next suite's plugins need nothing that Debian 12 lacks.
install_plugins() {
    docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 && return
    say "unpacking Compose v2 and buildx from $SUITE"
    local apt="$work/apt"
    mkdir -p "$apt"/{lists/partial,cache/archives/partial} "$PLUGINS"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $SUITE main" >"$apt/sources.list"
    local options=(
        -qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$apt/lists"
        -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root
    )
    apt-get "${options[@]}" update
    (cd "$work" && apt-get "${options[@]}" download docker-compose docker-buildx)
    for package in "$work"/docker-*.deb; do
        dpkg -x "$package" "$work/unpacked"
    done
    find "$work/unpacked" -type f -path '*cli-plugins*' -exec cp {} "$PLUGINS/" \;
    docker compose version >&2
    docker buildx version >&2
}

have_image() { docker image inspect "$1" >/dev/null 2>&1; }

make_base_images() {
    have_image python:3.13-slim-trixie && have_image redis:8.0 && return
    if ! have_image "debian:$SUITE-slim"; then
        install_packages debootstrap
        say "making debian:$SUITE-slim"
        debootstrap --variant=minbase "$SUITE" "$work/root" "$(mirror)" >"$work/debootstrap.log" 2>&1 ||
            { tail -n 5 "$work/debootstrap.log" >&2; exit 1; }
        tar -C "$work/root" --exclude=./var/cache/apt/archives/*.deb -c . | docker import - "debian:$SUITE-slim" >/dev/null
    fi
    # Whatever certificates this machine trusts, a build in a container has to trust as well.
    mkdir -p "$work/context"
    cp /etc/ssl/certs/ca-certificates.crt "$work/context/"
    say "making python:3.13-slim-trixie and redis:8.0"
    build python:3.13-slim-trixie <<-DOCKERFILE
		FROM debian:$SUITE-slim
		RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends \
		      ca-certificates python3 python3-pip python3-venv && rm -rf /var/lib/apt/lists/* \
		    && ln -s /usr/bin/python3 /usr/local/bin/python && ln -s /usr/bin/python3 /usr/local/bin/python3
		COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
		ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
	DOCKERFILE
    build redis:8.0 <<-DOCKERFILE
		FROM debian:$SUITE-slim
		RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server \
		    && rm -rf /var/lib/apt/lists/*
		USER redis
		EXPOSE 6379
		CMD ["redis-server"]
	DOCKERFILE
}

build() {
    DOCKER_BUILDKIT=0 docker build --quiet --network host --tag "$1" --file - "$work/context" >/dev/null 2>"$work/build.log" ||
        { tail -n 20 "$work/build.log" >&2; say "$1 could not be built"; exit 1; }
}

start_engine
install_plugins
make_base_images
say "ready: $(docker version --format '{{.Server.Version}}'), Compose $(docker compose version --short)"
