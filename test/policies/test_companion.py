"""A policy on a thread of its own: answers in time, late ones, and none."""

from threading import Event
import time

from core.fakes import FakePolicy, action, chunk_of, until
import pytest

from sara_ros.core import Observation, ObservationError
from sara_ros.policies.companion import Companion


@pytest.fixture
def companion():
    """Return a function that starts a companion of a policy that answers as it is told."""
    made = []

    def start(answer=None, **options):
        made.append(Companion(FakePolicy(answer), **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def observation():
    return Observation.of('go')


def test_it_answers(companion):
    seen = observation()
    answer = companion().ask(seen, 5.0)
    assert answer.observation is seen
    assert answer.chunk.horizon == 1
    assert (answer.error, answer.refused) == ('', False)
    assert answer.duration_ns > 0


@pytest.mark.parametrize(
    ('error', 'refused'), [(ValueError('no'), False), (ObservationError('shape', 'no'), True)]
)
def test_it_tells_errors(companion, error, refused):
    def fail(_):
        raise error

    answer = companion(fail).ask(observation(), 5.0)
    assert answer.chunk is None
    assert 'no' in answer.error
    assert answer.refused is refused


def test_a_late_answer_is_not_taken_for_the_next_one(companion):
    release = Event()

    def wait(seen):
        assert release.wait(5.0)
        return chunk_of(seen, action())

    late = companion(wait)
    assert late.ask(observation(), 0.02) is None
    started = time.monotonic()
    assert late.ask(observation(), 60.0) is None, 'it is busy'
    assert time.monotonic() - started < 30.0
    release.set()
    until(lambda: not late.busy)
    seen = observation()
    assert late.ask(seen, 5.0).observation is seen


def test_the_newest_waiting_observation_wins(companion):
    release, answers = Event(), []

    def wait(seen):
        assert release.wait(5.0)
        return chunk_of(seen, action())

    shadow = companion(wait, answered=answers.append)
    shadow.offer(observation(), 0)
    until(lambda: shadow.busy)
    for number in (1, 2, 3):
        shadow.offer(observation(), number)
    release.set()
    until(lambda: len(answers) == 2)
    assert [answer.context for answer in answers] == [0, 3]
    assert shadow.skipped == 2


def test_history_is_forgotten_before_the_next_answer(companion):
    one = companion()
    one.ask(observation(), 5.0)
    one.reset()
    assert one.policy.resets == 0
    one.ask(observation(), 5.0)
    assert one.policy.resets == 1


def test_a_closed_companion_does_not_answer(companion):
    closed = companion()
    closed.close()
    closed.join()
    assert closed.ask(observation(), 5.0) is None
