"""Matching of sensor values to the driving sensor."""

from threading import Thread
import time

from core.fakes import ARM, CAMERA, FakeClock, policy_spec, sample
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from sara_ros.core.drops import DropCounter
from sara_ros.core.observation_buffer import NS, ObservationBuffer

MS = NS // 1000
T0 = 500 * NS
SLOP_MS = 5


def make(*needs, sync_timeout_sec=0.0, clock=None):
    """Return a buffer on a made-up clock, with what it drops."""
    drops = DropCounter()
    clock = clock or FakeClock()
    buffer = ObservationBuffer(
        policy_spec(*needs),
        drops=drops,
        monotonic_ns=clock,
        slop_sec=SLOP_MS / 1000,
        sync_timeout_sec=sync_timeout_sec,
    )
    return buffer, drops, clock


def at(ms, mark=0, *, received_ns=0):
    """Return a sample stamped ``ms`` after T0 whose value is ``mark``."""
    return sample(T0 + ms * MS, received_ns=received_ns, value=np.array([mark]))


def taken(buffer, name):
    """Return the mark of ``name`` in the next observation; None when there is none."""
    observation = buffer.take('go', timeout_sec=0.0)
    return None if observation is None else int(observation[name][0])


def test_the_newest_driver_is_taken_once_and_others_are_counted():
    buffer, drops, _ = make()
    for ms, mark in ((0, 1), (50, 2), (100, 3)):
        buffer.add('camera', at(ms, mark))
    assert taken(buffer, 'camera') == 3
    assert taken(buffer, 'camera') is None
    assert drops.counts() == {'superseded': 2}


def test_an_observation_carries_its_stamp_instruction_and_timing():
    buffer, _, clock = make()
    buffer.add('camera', at(0, received_ns=clock() - 3 * MS))
    observation = buffer.take('lift it', timeout_sec=0.0)
    assert observation.instruction == 'lift it'
    assert observation.timing.stamp_ns == T0
    assert dict(observation.timing.stages_ns) == {'transport': MS, 'sync_wait': 3 * MS}


@given(
    stamps=st.lists(st.integers(-900, 50), min_size=1, max_size=40, unique=True),
    driver_ms=st.integers(-900, 0),
)
def test_a_partner_is_the_newest_one_before_the_driver(stamps, driver_ms):
    """Whatever arrives: newest not newer than the driver (and the slop), within its age limit."""
    buffer, drops, _ = make(CAMERA, ARM)
    for ms in sorted(stamps):
        buffer.add('arm', at(ms, ms))
    buffer.add('camera', at(driver_ms))
    usable = [ms for ms in stamps if -SLOP_MS <= driver_ms - ms <= ARM.max_age_sec * 1000]
    kept_ms = max(stamps) - 1000 * (ARM.max_age_sec + CAMERA.max_age_sec)
    if driver_ms < max(stamps) - 1000 * CAMERA.max_age_sec:
        usable = [ms for ms in usable if ms >= kept_ms]  # the node refuses such a late driver
    assert taken(buffer, 'arm') == max(usable, default=None)
    assert drops.counts() == ({} if usable else {'missing_arm': 1})


@given(st.lists(st.integers(0, 900), min_size=1, max_size=40))
def test_stamps_only_go_forward(stamps):
    """Stamps that repeat or go back are dropped, and the newest one stays."""
    buffer, drops, _ = make(CAMERA, ARM)
    newest, refused = -1, 0
    for ms in stamps:
        buffer.add('arm', at(ms, ms))
        refused += ms <= newest
        newest = max(newest, ms)
    buffer.add('camera', at(newest))
    assert taken(buffer, 'arm') == newest
    assert drops.counts() == ({'out_of_order': refused} if refused else {})


def test_a_fast_sensor_still_has_a_partner_for_a_late_driver():
    """64 samples at 1 kHz once reached 64 ms back, and a camera later than that had none."""
    buffer, drops, _ = make(CAMERA, ARM)
    for ms in range(400):
        buffer.add('arm', at(ms, ms))
    buffer.add('camera', at(150))
    assert taken(buffer, 'arm') == 150 + SLOP_MS
    assert drops.counts() == {}


def test_only_pictures_that_can_be_partners_are_kept():
    """64 pictures of 640x480 per camera, 59 MB, were once kept for nobody."""
    buffer, _, _ = make(CAMERA, ARM)
    for ms in range(0, 4000, 50):
        buffer.add('camera', at(ms))
        buffer.add('arm', at(ms))
    assert len(buffer._samples['camera']) == 1
    assert len(buffer._samples['arm']) <= 1 + 1000 * (CAMERA.max_age_sec + ARM.max_age_sec) / 50


@pytest.mark.parametrize('name', ['camera', 'arm'])
def test_time_set_back_starts_anew(name):
    """A bag that starts again must not be dropped as out of order until it catches up."""
    buffer, drops, _ = make(CAMERA, ARM)
    for ms in (10_000, 10_050):
        buffer.add('arm', at(ms))
        buffer.add('camera', at(ms, 1))
    other = 'arm' if name == 'camera' else 'camera'
    for ms in (0, 50):
        buffer.add(name, at(ms, 2))
        buffer.add(other, at(ms, 2))
        assert taken(buffer, 'camera') == 2
    assert drops.counts()['time_jump'] >= 1
    assert 'out_of_order' not in drops.counts()


def test_a_straggler_from_before_the_jump_does_no_lasting_harm():
    buffer, drops, _ = make(CAMERA, ARM)
    buffer.add('camera', at(10_000))
    buffer.add('camera', at(0))
    buffer.add('arm', at(10_001))
    for ms in (10, 60):
        buffer.add('arm', at(ms, ms))
        buffer.add('camera', at(ms))
    assert taken(buffer, 'arm') == 60
    assert drops.counts()['time_jump'] == 2


def test_a_driver_waits_for_partners_of_its_instant():
    buffer, drops, clock = make(CAMERA, ARM, sync_timeout_sec=0.02)
    buffer.add('arm', at(-40, 1))
    buffer.add('camera', at(0, received_ns=clock()))
    assert taken(buffer, 'arm') is None  # an older partner is there, its own may still come
    buffer.add('arm', at(2, 2))
    assert taken(buffer, 'arm') == 2
    assert drops.counts() == {}


def test_a_driver_takes_an_older_partner_when_its_own_does_not_come():
    buffer, _, clock = make(CAMERA, ARM, sync_timeout_sec=0.02)
    buffer.add('arm', at(-40, 1))
    buffer.add('camera', at(0, received_ns=clock()))
    clock.advance(0.021)
    assert taken(buffer, 'arm') == 1


def test_a_driver_without_a_partner_is_dropped_by_name():
    buffer, drops, clock = make(CAMERA, ARM, sync_timeout_sec=0.02)
    buffer.add('camera', at(0, received_ns=clock()))
    assert taken(buffer, 'arm') is None
    clock.advance(0.021)
    assert taken(buffer, 'arm') is None
    assert drops.counts() == {'missing_arm': 1}


def test_taking_waits_for_a_sample_and_for_its_partner():
    """The real clock: woken by the sample, not by the timeout."""
    buffer, _, _ = make(CAMERA, ARM, sync_timeout_sec=5.0, clock=time.monotonic_ns)
    Thread(
        target=lambda: (
            time.sleep(0.05),
            buffer.add('camera', at(0, received_ns=time.monotonic_ns())),
            time.sleep(0.05),
            buffer.add('arm', at(0, 7)),
        ),
        daemon=True,
    ).start()
    started = time.monotonic()
    observation = buffer.take('go', timeout_sec=10.0)
    assert int(observation['arm'][0]) == 7
    assert 0.09 < time.monotonic() - started < 4.0


def test_taking_times_out():
    buffer, _, _ = make(clock=time.monotonic_ns)
    started = time.monotonic()
    assert buffer.take('go', timeout_sec=0.05) is None
    assert time.monotonic() - started >= 0.05


def test_closing_wakes_a_waiting_take():
    buffer, _, _ = make(clock=time.monotonic_ns)
    Thread(target=lambda: (time.sleep(0.05), buffer.close()), daemon=True).start()
    started = time.monotonic()
    assert buffer.take('go', timeout_sec=10.0) is None
    assert time.monotonic() - started < 5.0
    assert buffer.take('go', timeout_sec=10.0) is None


def test_clearing_forgets_stamps_as_well():
    """A run after a bag was rewound by less than a jump starts at once."""
    buffer, drops, _ = make()
    buffer.add('camera', at(500))
    buffer.clear()
    assert taken(buffer, 'camera') is None
    buffer.add('camera', at(0, 4))
    assert taken(buffer, 'camera') == 4
    assert drops.counts() == {}


def test_polled_partners_are_asked_for_when_a_driver_comes():
    """Only then, up to the driver's instant and the slop; again while the driver waits."""
    buffer, _, clock = make(CAMERA, ARM, sync_timeout_sec=1.0)
    asked = []

    def add_up_to(stamp_ns):
        asked.append(stamp_ns)
        if len(asked) == 3:
            buffer.add('arm', at(100))

    buffer.poll_with(add_up_to)
    assert buffer.take('go', timeout_sec=0) is None
    assert asked == []
    buffer.add('camera', at(100, received_ns=clock()))
    assert buffer.take('go', timeout_sec=0) is None
    assert buffer.take('go', timeout_sec=0) is None
    assert buffer.take('go', timeout_sec=0) is not None
    assert asked == [T0 + (100 + SLOP_MS) * MS] * 3


def test_polling_ahead_puts_partners_in_place():
    """A picture that comes before the driver can trigger the poll."""
    buffer, _, _ = make(CAMERA, ARM)
    buffer.poll(T0)
    buffer.poll_with(lambda stamp_ns: buffer.add('arm', at((stamp_ns - T0) // MS)))
    buffer.poll(T0)
    assert len(buffer._samples['arm']) == 1
