"""What a run would be short of on the load generator's machine: descriptors and ports, one a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from loadtests.sending.limits import OpenFiles, ports
from scenarios.model import Scenario

# Beside connections: the interpreter's own files, and the connections that are opened beforehand.
_BESIDE: Final = 100


def remarks(scenario: Scenario, files: OpenFiles) -> Iterator[str]:
    """Say what a run of this scenario would be short of, with the remedy."""
    free_ports = ports()
    users = max(variant.workload.users for variant in scenario.variants)
    if users + _BESIDE > files.now:
        yield (
            f"Up to {users:,} requests can be in flight (workload.users), but this process may open only "
            f"{files.now:,} files: raise the limit with `ulimit -n {users + _BESIDE}`, or lower "
            "workload.users."
        )
    if free_ports is not None and users + _BESIDE > free_ports:
        yield (
            f"Up to {users:,} requests can be in flight (workload.users), but this machine has only "
            f"{free_ports:,} local ports: widen net.ipv4.ip_local_port_range, or lower workload.users."
        )
