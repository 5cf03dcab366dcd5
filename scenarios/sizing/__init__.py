"""How large the containers of a variant are where it is deployed, and the sizes that Fargate sells.

Imports what stands beside it in `scenarios`, and reading's error.
"""
