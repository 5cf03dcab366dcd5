"""What answers say: the outcome that headers tell, and which failures had to be. Imports nothing of
loadtests.
"""
