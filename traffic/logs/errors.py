"""What is wrong with a log, for the user."""

from __future__ import annotations


class LogError(Exception):
    """A log that cannot be used. The message names the file, the true cause and the remedy."""
