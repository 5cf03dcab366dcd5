"""What every stack needs of the machine: child processes, cgroups, locks and interrupts. Imports
compose.stack alone.
"""
