"""Where `sidecar-bench` begins: before anything is imported that could be missing, or another's.

A variable such as PYTHONPATH, or a `redis.py` in the current folder of `python -m bench`, would replace
modules. The command then starts itself once more, in an interpreter that they do not bend.
"""

from __future__ import annotations

import os
import sys

# Other variables of Python's change what is imported, or how it runs. These do not, or are ours.
_HARMLESS = (
    "PYTHON",
    "PYTHONUNBUFFERED",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHON_IMAGE",
)


def _is_current_folder(first: str | None) -> bool:
    if sys.flags.safe_path or first is None:
        return False
    try:
        return first in ("", os.getcwd())  # noqa: PTH109 (nothing is imported yet)
    except OSError:  # it was removed
        return first == ""


def main(first: str | None = None, module: str = "bench") -> None:
    """Run the command. Exit code 4 where a package that it needs cannot be imported.

    `first` is what came first on the path, and `module` what was started, where that was another.
    """
    if first is None and sys.path:
        first = sys.path[0]
    bent = [name for name in os.environ if name.startswith("PYTHON") and name not in _HARMLESS]
    if bent or _is_current_folder(first):
        environment = {name: value for name, value in os.environ.items() if name not in bent}
        command = [sys.executable, "-P", "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, environment)  # noqa: S606
    try:
        from bench.cli import app
    except ImportError as error:
        # Not by itself: Python would exit with 1, which is a violated threshold's.
        sys.stderr.write(
            f"sidecar-bench: cannot start ({error}); reinstall it, for example with: make install\n"
        )
        sys.exit(4)
    app.main()


if __name__ == "__main__":
    sys.argv[0] = "sidecar-bench"  # instead of this file's path
    main()
