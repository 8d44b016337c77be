"""The gate: rules a person set (thresholds, expectations, a baseline) held against a run's results.

How a verdict is drawn from an interval is in `verdict/`; here is what is compared with what, and what is
said about it. Knows no pytest. docs/how-it-decides.md is the page for people.
"""
