"""What a trial demands of a candidate, and which model a request means."""

from core.fakes import action, action_spec
import numpy as np
import pytest

from sara_ros.core import ActionChunk, ParameterError, TimingRecord
from sara_ros.core.swap import (
    ModelIdentity,
    SwapState,
    TrialRules,
    TrialWindow,
    WantedModel,
    fault_of,
)

SERVING = ModelIdentity('reach', 'sara', 'cpu', 'torch', 'ab')
SPEC = action_spec()


def chunk(*rows):
    return ActionChunk(np.stack(rows), TimingRecord(0, 0))


def window(chunks, budget_sec=0.03):
    return TrialWindow(TrialRules(chunks, budget_sec), SPEC)


@pytest.mark.parametrize(
    ('wanted', 'identity'),
    [
        (WantedModel(), ModelIdentity('reach', 'sara', 'cpu', 'torch')),
        (WantedModel('reach'), ModelIdentity('reach', '', 'cpu', 'torch')),
        (WantedModel('', 'taylor'), ModelIdentity('reach', 'taylor', 'cpu', 'torch')),
        (WantedModel('lift', device='cuda:0'), ModelIdentity('lift', '', 'cuda:0', 'torch')),
        (WantedModel.again(SERVING), SERVING),
    ],
)
def test_what_is_left_out_is_kept(wanted, identity):
    """A model that is named comes with the backend of its policy.json."""
    assert wanted.after(SERVING) == identity


def test_an_unknown_runtime_is_named():
    with pytest.raises(ParameterError, match=r"runtime is 'magic'; known: torch"):
        WantedModel('lift', runtime='magic').after(SERVING)


@pytest.mark.parametrize(
    ('rows', 'text'),
    [
        ((action(), action(0.1)), ''),
        ((action(), action(np.nan)), "action dimension 'x' is nan"),
        ((action(np.inf),), "action dimension 'x' is inf"),
        ((action(0.2),), r"'x' is 0.2, outside its range [-0.1, 0.1]"),
        ((action(gripper=-0.5),), "'gripper_opening' is -0.5, outside"),
        ((action()[:5],), 'its chunk has 5 dimensions, the action 8'),
    ],
)
def test_answers_that_must_not_be_sent_are_told(rows, text):
    fault = fault_of(chunk(*rows), SPEC)
    assert text in fault
    assert bool(fault) == bool(text)


def test_rounding_beyond_the_range_is_no_fault():
    assert not fault_of(chunk(action(np.nextafter(np.float32(0.1), np.float32(1)))), SPEC)


def test_a_window_passes_after_its_chunks():
    trial = window(3)
    assert [trial.judge(chunk(action()), 0.01) for _ in range(3)] == ['', '', '']
    assert trial.passed


def test_the_p95_of_a_window_is_the_limit():
    """Of 40 answers two may be late; the third fails the trial at once."""
    trial = window(40)
    assert trial.judge(chunk(action()), 0.05) == ''
    assert trial.missed() == ''
    for _ in range(5):
        assert trial.judge(chunk(action()), 0.029) == ''
    assert '3 of 8 chunks took longer, a window of 40 allows 2' in trial.missed()


def test_one_bad_answer_fails_a_window():
    assert 'nan' in window(40).judge(chunk(action(np.nan)), 0.001)


@pytest.mark.parametrize(
    ('serving_sec', 'budget_sec'),
    [
        (0.0, 0.03),
        (0.01, 0.03),
        (0.03, 0.0375),
        (0.035, 0.04),
        (0.045, 0.045),
        (0.2, 0.0475),
    ],
    ids=['unknown', 'fast', 'slower', 'as far as commands wait', 'as slow', 'hopeless'],
)
def test_without_a_budget_it_follows_from_the_rate_and_the_serving_model(serving_sec, budget_sec):
    """Of a period of 50 ms; a model that takes what the one before it took is no worse."""
    rules = TrialRules().beside(action_spec(rate_hz=20.0), serving_sec)
    assert rules.budget_sec == pytest.approx(budget_sec)
    assert TrialRules(budget_sec=0.02).beside(SPEC, serving_sec).budget_sec == 0.02


def test_a_longer_chunk_has_a_longer_budget():
    rules = TrialRules().beside(action_spec(rate_hz=20.0, horizon=2))
    assert rules.budget_sec == pytest.approx(0.06)


def test_every_state_is_settled_or_under_way():
    under_way = {'loading', 'warming', 'ready', 'shadow', 'trial'}
    assert {state.value for state in SwapState if not state.settled} == under_way
    assert {s.value for s in SwapState if s.preparing} == under_way - {'shadow', 'trial'}
