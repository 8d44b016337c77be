"""`python -m pytest_calico_perf.diagnosis`: prints the table of faults in docs/diagnosis.md."""

from __future__ import annotations

import sys

from pytest_calico_perf.diagnosis.faults import table

if __name__ == "__main__":
    sys.stdout.write(table())
