"""Where `sidecar-bench` begins: it imports nothing first, so that a broken installation is a sentence."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Exit code 4 where a package that it needs cannot be imported."""
    try:
        from bench import cli
    except ImportError as error:
        # Not by itself: Python would exit with 1, which is a violated threshold's.
        sys.stderr.write(
            f"sidecar-bench: cannot start ({error}); install it again, such as with: make install\n"
        )
        sys.exit(4)
    cli.main()


if __name__ == "__main__":
    main()
