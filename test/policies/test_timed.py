"""A policy that knows how long its answers took."""

import time

from policies.swaps import model
import pytest

from sara_ros.core import Observation
from sara_ros.policies.timed import FEWEST_ANSWERS, WINDOW_ANSWERS, TimedPolicy


def test_the_latest_answers_count(monkeypatch):
    """One slow answer shows in the p95 of a few, and is gone after a window of fast ones."""
    now_sec = 0.0

    def answer(_):
        nonlocal now_sec
        now_sec += naps.pop()

    monkeypatch.setattr(time, 'monotonic', lambda: now_sec)
    naps = [0.02, *[0.0] * (FEWEST_ANSWERS - 1)]
    inner = model('one', answer=answer)
    policy = TimedPolicy(inner)
    assert policy.spec is inner.spec
    observation = Observation.of('go')
    for _ in range(FEWEST_ANSWERS - 1):
        policy.act(observation)
    assert policy.p95_sec == 0.0
    policy.act(observation)
    assert policy.p95_sec == pytest.approx(0.001)
    naps += [0.01] * WINDOW_ANSWERS
    for _ in range(WINDOW_ANSWERS):
        policy.act(observation)
    assert policy.p95_sec == pytest.approx(0.01)


def test_history_is_forgotten_by_the_policy_itself():
    inner = model('one')
    TimedPolicy(inner).reset()
    assert inner.resets == 1
