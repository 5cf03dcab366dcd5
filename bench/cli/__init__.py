"""The commands. Imports everything else of bench."""
