"""The figures of the page: matplotlib drawings as SVG that takes its colours from the page."""
