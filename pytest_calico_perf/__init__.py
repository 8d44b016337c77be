"""Which Calico mode is faster on my cluster, by how much, and did the last change make it slower?

The pytest plugin is `pytest_calico_perf.plugin`; the suite it runs is `pytest_calico_perf.suite`.
This module imports nothing, because every pytest run of an interpreter that has the package loads it.
"""

__version__ = "0.1.0"
