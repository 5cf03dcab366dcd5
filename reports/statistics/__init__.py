"""Estimates with intervals, and looking more than once. Pure; imports nothing of reports."""
