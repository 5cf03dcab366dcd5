"""One trial: its rows reduced to metrics, and the gates that say what of it can be believed. Imports stored,
statistics and theory.
"""
