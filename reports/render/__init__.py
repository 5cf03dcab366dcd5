"""A run's analysis as a page, Markdown or JUnit XML. Imports everything else of reports; nothing imports it
but the functions of reports itself and the commands.
"""
