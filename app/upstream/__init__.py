"""Calls to the upstream API: connections, codings, quotas, and how many at once. Imports settings, names and
metrics.
"""
