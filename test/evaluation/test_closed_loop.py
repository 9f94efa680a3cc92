"""Closed-loop evaluation: statistics, and a run of the expert."""

from pathlib import Path

import pytest

from sara_ros.core import ParameterError
from sara_ros.evaluation.closed_loop import (
    EvaluationConfig,
    Outcome,
    evaluate,
    summarise_outcomes,
    wilson_interval,
)


@pytest.mark.parametrize(
    ('successes', 'trials', 'low', 'high'),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_interval(successes, trials, low, high):
    """Published values; the last is the example of Newcombe 1998, method 3."""
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_no_trials():
    """There is no interval of nothing."""
    with pytest.raises(ParameterError, match='at least one trial'):
        wilson_interval(0, 0)


def test_summary_counts_by_verb():
    """Each verb and each instruction has its own counts."""
    outcomes = [
        Outcome('reach the red block', 1, True, True, 10, 1.0),
        Outcome('reach the blue block', 1, False, False, 100, 3.0),
        Outcome('lift the red block', 2, True, False, 30, 2.0),
    ]
    result = summarise_outcomes(outcomes)
    assert (result['successes'], result['episodes'], result['terminated']) == (2, 3, 1)
    assert result['per_verb']['reach']['success'] == 0.5
    assert set(result['per_verb']) == {'reach', 'lift'}
    assert result['per_task']['lift the red block']['episodes'] == 1
    assert result['median_act_ms'] == 2.0


def test_expert_succeeds(tmp_path):
    """The expert passes through the same loop, delayed by one step."""
    config = EvaluationConfig(
        tmp_path, 'scripted_expert', episodes=1, processes=1, verbs=('reach', 'lift')
    )
    result = evaluate(config)
    assert result['episodes'] == 8
    assert result['successes'] == 8
    assert result['success'] == 1.0
    assert result['seeds'] == [500_000, 500_000]


def test_unknown_verb(tmp_path):
    """The known verbs are listed."""
    with pytest.raises(ParameterError, match="no verb 'throw'; known: reach, push"):
        evaluate(EvaluationConfig(tmp_path, 'scripted_expert', verbs=('throw',)))


@pytest.mark.parametrize('name', ['rt2-tabletop', 'pct-tabletop'])
def test_shipped_models_still_reach(name):
    """A guard against regressions: both reached 60 of 60 when they were measured."""
    models = Path(__file__).parents[2] / 'models'
    result = evaluate(EvaluationConfig(models, name, episodes=1, processes=1, verbs=('reach',)))
    assert result['successes'] >= 2
