"""`summary.json`: the models of what a run has found. Imports trial."""
