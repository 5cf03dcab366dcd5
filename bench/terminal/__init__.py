"""What a terminal shows: text, tables and progress. Imports nothing of bench but its errors and run's
listener.
"""
