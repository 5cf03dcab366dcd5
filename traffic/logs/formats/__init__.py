"""The formats that access logs are in: which one it is, and what each of its lines says."""
