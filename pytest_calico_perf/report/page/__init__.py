"""The page people forward, part by part: the sentence, the comparison, where it was measured, every cell.

Static HTML and inline SVG without script, so that it reads where scripts are forbidden, prints, and nothing
in a record can run. `report/html.py` puts the parts together.
"""
