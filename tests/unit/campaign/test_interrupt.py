"""Ctrl-C at any moment loses nothing that was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_calico_perf.model import Cell, Mode
from tests.unit.campaign.world import BGP, HOST, IPIP, POD, World, campaign_on


def steps_of_a_whole_campaign() -> int:
    world = World()
    campaign = campaign_on(world, HOST, BGP, IPIP, rounds=3, warm_up=1)
    campaign.result(HOST)
    return len(world.log)


@given(st.integers(1, steps_of_a_whole_campaign()))
def test_ctrl_c_at_any_point_loses_no_completed_sample(moment):
    world = World(interrupt_at=moment)
    campaign = campaign_on(world, HOST, BGP, IPIP, rounds=3, warm_up=1)
    with pytest.raises(KeyboardInterrupt):
        campaign.result(HOST)

    by_cell = {result.cell: result for result in campaign.results()}
    for cell in (HOST, BGP, IPIP):
        completed = tuple(value for done, value in world.given if done == cell)[1:]  # the first is warm-up
        result = by_cell.get(cell)
        assert (result.samples if result else ()) == completed
        if result and len(completed) < 3:
            assert result.details["cut_short"] == f"{len(completed)} of 3 rounds measured"
    assert not world.open_now
    with pytest.raises(KeyboardInterrupt):
        campaign.result(BGP)


def test_ctrl_c_keeps_the_blocks_before():
    ping = Cell("ping", POD, Mode.BGP)
    world = World()
    campaign = campaign_on(world, BGP, ping)
    whole = campaign.result(BGP)
    world.script[ping] = [1.0, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        campaign.result(ping)
    assert campaign.results()[0] == whole
    assert campaign.results()[1].samples == (1.0,)
    assert campaign.measuring_seconds == 8 + 2
