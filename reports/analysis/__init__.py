"""A stored run, worked out: causes, verdict, and the summary made of all parts. Imports calls, inference and
what is below them.
"""
