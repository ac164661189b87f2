"""Renders a diagnosis or a run: terminal, JSON, one self-contained HTML file.

`poise.report.html` is imported by its own name where a page is asked for: it alone needs Jinja2.
"""
