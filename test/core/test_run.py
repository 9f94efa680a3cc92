"""Limits and watchdogs of a run."""

import pytest

from sara_ros.core.run import NS, Run, RunLimits, TerminationReason

QUIET = {'observation_timeout_sec': 1.0, 'chunk_timeout_sec': 1.0}


def overdue(run, seconds, *, inferring=False):
    """Return why ``run`` ends ``seconds`` after its start."""
    ended = run.overdue(run.started_ns + int(seconds * NS), inferring=inferring)
    return ended and ended[0]


def start(**limits):
    return Run.start('go', RunLimits(**{**QUIET, **limits}), now_ns=5 * NS)


def test_a_run_goes_on_while_all_is_fresh():
    run = start()
    for second in range(1, 100):
        run.observed_ns = run.chunk_ns = run.started_ns + second * NS
        assert overdue(run, second + 0.9) is None


@pytest.mark.parametrize(
    ('limits', 'state', 'seconds', 'reason'),
    [
        ({'timeout_sec': 0.5}, {}, 0.5, TerminationReason.TIMEOUT),
        ({'timeout_sec': 0.5}, {}, 0.49, None),
        ({'max_steps': 3}, {'commands': 3}, 0.1, TerminationReason.MAX_STEPS),
        ({'max_steps': 3}, {'commands': 2, 'holds': 9}, 0.1, None),
        ({}, {}, 1.1, TerminationReason.NO_FRESH_OBSERVATION),
        ({'observation_timeout_sec': 9.0}, {}, 1.1, TerminationReason.NO_FRESH_CHUNK),
        ({}, {}, 1.0, None),
    ],
)
def test_why_a_run_ends(limits, state, seconds, reason):
    run = start(**limits)
    for name, value in state.items():
        setattr(run, name, value)
    assert overdue(run, seconds) == reason


def test_while_the_model_works_only_the_chunk_can_be_late():
    run = start(chunk_timeout_sec=2.0)
    assert overdue(run, 1.5, inferring=True) is None
    assert overdue(run, 1.5) is TerminationReason.NO_FRESH_OBSERVATION
    assert overdue(run, 2.5, inferring=True) is TerminationReason.NO_FRESH_CHUNK


@pytest.mark.parametrize(
    ('pose_sec', 'seconds', 'reason'),
    [
        (None, 0.9, None), (0.5, 1.4, None), (0.5, 1.6, TerminationReason.NO_FRESH_OBSERVATION),
        (-5.0, 0.9, None), (-5.0, 1.1, TerminationReason.NO_FRESH_OBSERVATION),
    ],
)  # fmt: skip
def test_a_pose_that_the_workspace_needs_is_watched(pose_sec, seconds, reason):
    run = start(chunk_timeout_sec=60.0)
    run.observed_ns = run.started_ns + int(seconds * NS)
    pose_ns = None if pose_sec is None else run.started_ns + int(pose_sec * NS)
    ended = run.overdue(run.started_ns + int(seconds * NS), inferring=False, pose_ns=pose_ns)
    assert (ended and ended[0]) == reason
    assert ended is None or 'no end-effector pose for 1.10 s' in ended[1]


def test_messages_name_the_limit():
    run = start(timeout_sec=0.25)
    _, message = run.overdue(run.started_ns + NS, inferring=False)
    assert message == 'ran for timeout_sec=0.25 s'


def test_a_result_sums_up():
    run = start()
    run.commands, run.holds = 4, 2
    result = run.result(TerminationReason.CANCELED, 'enough', run.started_ns + 3 * NS)
    assert (result.commands, result.holds, result.duration_sec) == (4, 2, 3.0)
