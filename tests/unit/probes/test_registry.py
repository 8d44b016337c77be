import json

import pytest

from pytest_calico_perf.model import Path
from pytest_calico_perf.probes import PROBES, probe_names
from pytest_calico_perf.probes.ab import Connect, Http
from pytest_calico_perf.probes.base import Probe
from pytest_calico_perf.probes.iperf import Iperf
from pytest_calico_perf.probes.iperf3 import Tcp
from pytest_calico_perf.probes.link import Link
from pytest_calico_perf.probes.ping import Ping
from pytest_calico_perf.probes.udp import Udp

ALL: list[Probe] = [
    Ping(), Tcp(), Tcp(streams=4), Udp(), Iperf(), Http(), Http(keepalive=True), Connect(), Link(),
]  # fmt: skip


def test_every_word_of_the_glossary_has_its_probe():
    assert probe_names() == tuple(probe.name for probe in ALL)
    assert [PROBES[probe.name] for probe in ALL] == [type(probe) for probe in ALL]


@pytest.mark.parametrize("probe", ALL, ids=lambda p: p.name)
def test_a_probe_is_a_plain_value(probe):
    assert probe == type(probe)(**vars(probe))
    assert hash(probe) == hash(type(probe)(**vars(probe)))
    assert probe.seconds > 0
    assert probe.tools
    assert probe.describe()
    assert any(probe.suits(path) for path in Path)
    assert probe.lasting(3).name == probe.name
    assert probe.lasting(8).seconds >= probe.lasting(2).seconds
    json.dumps(vars(probe))
