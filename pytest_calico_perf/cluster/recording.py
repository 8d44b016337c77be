"""Endpoints that remember what was run at them, bounded: so that a sceptic can repeat it by hand."""
