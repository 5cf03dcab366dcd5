"""A run's folder, read: records, rows of requests, and the files that hold them. Imports nothing of reports
but its error.
"""
