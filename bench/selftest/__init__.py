"""`sidecar-bench selftest`: questions with known answers, asked of this machine. Imports run."""
