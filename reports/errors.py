"""The one error of this room."""

from __future__ import annotations


class ResultsError(Exception):
    """A stored run that cannot be read. The message names the file and the remedy."""
