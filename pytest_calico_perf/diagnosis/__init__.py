"""Why a path is dead or crippled: the first broken link between client and server, in plain words."""

from pytest_calico_perf.diagnosis.doctor import diagnose
from pytest_calico_perf.diagnosis.finding import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
