"""What trials say together: comparisons within blocks, thresholds, precision, and when to stop. Imports
summary and what is below it.
"""
