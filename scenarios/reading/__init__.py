"""Scenario files, read: YAML in, models out, with errors that name file, field and line; and their schema.

Imports what stands beside it in `scenarios`, which imports nothing of it but its error.
"""
