"""Background work waits at the gate, and not for ever."""

import gc
import os
from threading import Event, Thread, get_native_id
import time
import weakref

from core.fakes import until
import pytest

from sara_ros.core.courtesy import BACKGROUND_NICENESS, Gate, at_low_priority


class Counter:
    """Counts calls on a thread that yields at a gate."""

    def __init__(self, gate, patience_sec=10.0):
        self.count = 0
        self._stopping = Event()
        self._gate, self._patience_sec = gate, patience_sec
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        until(lambda: self.count)
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join(5.0)
        assert not self._thread.is_alive()

    def step(self):
        self.count += 1

    def _run(self):
        with self._gate.yielding(self._patience_sec):
            while not self._stopping.is_set():
                self.step()


def test_background_work_stands_still_while_the_gate_is_closed():
    gate = Gate()
    with Counter(gate) as counter:
        with gate:
            time.sleep(0.02)
            before = counter.count
            time.sleep(0.1)
            assert counter.count <= before + 1
        until(lambda: counter.count > before + 1)


def test_patience_ends():
    gate = Gate()
    with Counter(gate, patience_sec=0.05) as counter, gate:
        time.sleep(0.1)
        before = counter.count
        until(lambda: counter.count > before + 100)


def test_a_wait_at_an_open_gate_takes_no_time_and_at_a_closed_one_its_timeout():
    gate = Gate()
    gate.wait(10.0)
    started = time.monotonic()
    with gate:
        gate.wait(0.05)
    assert time.monotonic() - started >= 0.05


def niceness():
    return os.getpriority(os.PRIO_PROCESS, get_native_id())


def test_work_at_low_priority_leaves_the_priority_of_its_caller():
    before = niceness()
    assert at_low_priority(niceness) == max(before, BACKGROUND_NICENESS)
    assert niceness() == before


def test_an_error_at_low_priority_is_raised_here_and_holds_nothing():
    class Thing:
        pass

    def fail():
        thing = Thing()
        seen.append(weakref.ref(thing))
        raise ValueError('no')

    seen = []
    gc.disable()
    try:
        with pytest.raises(ValueError, match='no') as failed:
            at_low_priority(fail)
        del failed
        assert seen[0]() is None
    finally:
        gc.enable()
