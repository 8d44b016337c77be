"""An interrupt ends a run wherever it arrives, also where Python would swallow it."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator

import pytest

from pytest_calico_perf.interrupts import Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    watching = Interrupts()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    watching.watch()
    yield watching
    watching.unwatch()
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_is_a_keyboard_interrupt(interrupts: Interrupts, number: signal.Signals):
    with pytest.raises(KeyboardInterrupt, match=number.name):
        os.kill(os.getpid(), number)
    interrupts.heard()
    interrupts.raise_lost()


def test_one_that_a_finalizer_swallowed_is_raised_again(interrupts: Interrupts):
    class Response(io.RawIOBase):
        def close(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().close()

    response = Response()
    del response  # io's finalizer calls close() and keeps quiet about what it raises
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        interrupts.raise_lost()


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        watching = Interrupts()
        watching.watch()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        watching.unwatch()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_must_be_done_whole_is_and_the_signal_is_raised_afterwards(interrupts: Interrupts):
    done = False
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"), interrupts.held():
        os.kill(os.getpid(), signal.SIGTERM)
        done = True
    assert done
    interrupts.heard()


def test_holding_without_a_signal_raises_nothing(interrupts: Interrupts):
    with interrupts.held(), interrupts.held():
        pass
    interrupts.raise_lost()
