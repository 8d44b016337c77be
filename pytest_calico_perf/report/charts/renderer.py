"""Draws: Vega-Lite specifications in on standard input, SVG out on standard output, both as a JSON list.

A program of its own, since vl-convert is a whole JavaScript engine: 100 MB, threads, and an abort where
something goes wrong. None of that is the business of the process that holds somebody's results.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Draw all specifications, in their order; null for one that cannot be drawn."""
    from vl_convert import vegalite_to_svg  # noqa: PLC0415 (90 MB, for this program only)

    drawings: list[str | None] = []
    for spec in json.load(sys.stdin):
        try:
            # The data is in the specification: nothing may be fetched, whatever it says.
            drawings.append(vegalite_to_svg(spec, allowed_base_urls=[]))
        except ValueError as error:
            print(error, file=sys.stderr)  # noqa: T201 (the channel to who started us)
            drawings.append(None)
    json.dump(drawings, sys.stdout)


if __name__ == "__main__":
    main()
