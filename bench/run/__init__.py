"""A run: its trials in order, each deployed, loaded, counted, removed and stored. Imports load, targets."""
