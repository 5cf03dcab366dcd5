"""What large logs are read with: code that numba compiles when it is first needed."""
