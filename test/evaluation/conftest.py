"""A made-up session of two policies, with warm-up and holds."""

from __future__ import annotations

import pytest

from sara_ros.core.timing import STAGES
from sara_ros.evaluation.samples import CommandSample
from sara_ros.evaluation.session import (
    CommandCounts,
    Episode,
    FrameCounts,
    PolicyFacts,
    ProcessFacts,
    RosFacts,
    Session,
)

RUDE = 'push <script>alert("x")</script> & the "red" block'


@pytest.fixture
def make_sample():
    """Return a function that makes a command whose six stages share ``total_ms``."""

    def make(
        sequence=0, total_ms=12.0, *, model='rt2-small', episode=1, warm_up=False, hold=False
    ):
        stages = dict.fromkeys(STAGES, total_ms / 12)
        stages['inference'] = total_ms * 7 / 12
        return CommandSample(
            episode=episode,
            model_id=model,
            time_sec=episode * 100 + sequence * 0.1,
            sequence=sequence,
            warm_up=warm_up,
            stages_ms={} if hold else stages,
            total_ms=None if hold else total_ms,
            hold=hold,
        )

    return make


@pytest.fixture
def samples(make_sample):
    """Two warm-up commands, twenty of a learned policy, one hold, ten of the expert."""
    return [
        *(make_sample(n, 500.0, warm_up=True) for n in range(2)),
        *(make_sample(n, 10.0 + n) for n in range(2, 22)),
        make_sample(22, hold=True),
        *(make_sample(n, 5.0, model='expert', episode=2) for n in range(10)),
    ]


@pytest.fixture
def make_session(samples):
    """Return a function that makes a session; keyword arguments replace its fields."""

    def make(**changes):
        own = changes.get('samples', samples)
        fields = {
            'kind': 'demo',
            'created': '2026-01-02T03:04:05+00:00',
            'duration_sec': 30.0,
            'first_command_sec': 4.5,
            'machine': {'cpu': 'A <fast> processor', 'logical_cores': 2, 'memory_gib': 8.0},
            'ros': RosFacts('jazzy', 'rmw_fastrtps_cpp', 42, '7.1.6'),
            'processes': [ProcessFacts('simulator', 11), ProcessFacts('policy', 12)],
            'episodes': [
                Episode(1, RUDE, 'rt2-small', 'rt2', True, False, 'max_steps', 23, 2.3, 10.0),
                Episode(2, 'lift', 'expert', 'expert', False, True, 'terminate', 10, 1.0, 10.0),
            ],
            'commands': CommandCounts.of(own, deadline_misses=3, clipped_values=4),
            'samples': own,
            'policies': {'rt2-small': PolicyFacts(True, 'sara'), 'expert': PolicyFacts(False)},
            'frames': FrameCounts(100, 99, 1, 20.0, 640, 480),
            'dropped': {'too_old': 2, 'superseded': 1},
            'messages_in': {'image_raw': 99},
            'messages_out': {'policy/action': 33},
            'notes': ['a note with <b>markup</b>'],
            'files': {'video': 'episodes.mp4'},
        }
        return Session(**{**fields, **changes})

    return make
