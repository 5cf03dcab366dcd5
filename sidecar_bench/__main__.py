"""Where an installed `sidecar-bench` begins: it finds its packages, in a wheel or in a checkout."""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (nothing else is imported yet)
_WHEEL = os.path.join(_HERE, "rooms")  # noqa: PTH118
ROOMS = _WHEEL if os.path.isdir(_WHEEL) else os.path.dirname(_HERE)  # noqa: PTH112, PTH120


def main() -> None:
    """Run the command."""
    first = sys.path[0] if sys.path else None
    sys.path.insert(0, ROOMS)
    from bench.__main__ import main as command

    command(first, module="sidecar_bench")


if __name__ == "__main__":
    sys.argv[0] = "sidecar-bench"  # instead of this file's path
    main()
