"""What an operator allows, as parameters say it."""

from core.fakes import action_spec
import numpy as np
import pytest

from sara_ros.core import ActionDimension, ActionSpec, ParameterError
from sara_ros.core.limits import SafetyLimits, WorkspaceBox
from sara_ros.core.run import StopAction


def test_without_parameters_the_ranges_of_the_spec_hold():
    spec = action_spec()
    limits = SafetyLimits.of(spec)
    np.testing.assert_array_equal(limits.low, spec.low)
    np.testing.assert_array_equal(limits.high, spec.high)
    assert np.isinf(limits.max_change).all()
    assert limits.workspace is None


def test_a_share_limits_motion_only():
    change = SafetyLimits.of(action_spec(), max_change=0.5).max_change
    np.testing.assert_allclose(change[1:7], 0.1)
    assert np.isinf(change[[0, 7]]).all()


@pytest.mark.parametrize(
    ('entry', 'text'),
    [
        ('x', 'does not read'),
        ('x 0 small', 'does not read'),
        ('x 0 0.1 0.1 0.1', 'must lie within'),
        ('w 0 1', "no dimension 'w'; it has: terminate, x"),
        ('x -0.2 0.1', r'range \[-0.1, 0.1\] m'),
        ('x 0.1 -0.1', 'must lie within'),
        ('x nan 0.1', 'must lie within'),
        ('x -0.1 0.1 0', 'max_change above 0'),
    ],
)
def test_entries_that_cannot_hold_are_refused(entry, text):
    with pytest.raises(ParameterError, match=text):
        SafetyLimits.of(action_spec(), entries=[entry])


def test_a_workspace_reads_two_corners():
    box = WorkspaceBox.parse('0.25 -0.3 0 0.7 0.3 0.4')
    np.testing.assert_allclose(box.low_m, [0.25, -0.3, 0.0])
    np.testing.assert_allclose(box.high_m, [0.7, 0.3, 0.4])
    assert WorkspaceBox.parse('  ') is None


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('0 0 0 1 1', '6 finite numbers'),
        ('0 0 0 1 1 inf', '6 finite numbers'),
        ('0 0 2 1 1 1', 'must be below'),
        ('0 0 zero 1 1 1', 'give 6 numbers'),
    ],
)
def test_what_is_no_box_is_refused(text, problem):
    with pytest.raises(ParameterError, match=problem):
        WorkspaceBox.parse(text)


def test_joints_have_no_workspace():
    spec = ActionSpec('joint_positions', (ActionDimension('a', 'rad', -1, 1),), '', 20.0)
    with pytest.raises(ParameterError, match='leave the workspace empty'):
        SafetyLimits.of(spec, workspace=WorkspaceBox.parse('0 0 0 1 1 1'))


def test_stop_actions_by_name():
    assert StopAction.parse('hold') is StopAction.HOLD
    with pytest.raises(ParameterError, match="'coast'; known: zero_then_silence, hold"):
        StopAction.parse('coast')
