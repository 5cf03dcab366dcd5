"""Logs in Parquet files: read by the names of their columns, and written without what is private."""
