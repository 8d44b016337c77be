"""Charts for the page: Vega-Lite specifications made of a run's record, drawn as static SVG by vl-convert.

Vega-Lite says what is drawn and not how, and its renderer takes a style's variable for a colour, so that
one drawing is right in the dark and on paper. vl-convert is one wheel without requirements of its own; no
browser, no network. It runs when a page is written, in a process of its own (`renderer.py`).
"""
