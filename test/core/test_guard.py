"""The safety guard."""

from core.fakes import action, action_spec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from sara_ros.core import ActionError
from sara_ros.core.guard import SafetyGuard
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS


@given(arrays(np.float32, 8, elements=st.floats(-10, 10, width=32)))
def test_actions_leave_within_their_ranges(values):
    spec = action_spec()
    guard = SafetyGuard(spec)
    safe = guard.check(values)
    assert ((spec.low <= safe) & (safe <= spec.high)).all()
    outside = (values < spec.low) | (values > spec.high)
    assert guard.clipped_values == outside.sum()
    np.testing.assert_array_equal(safe[~outside], values[~outside])


def test_clips_add_up():
    guard = SafetyGuard(action_spec())
    guard.check(action(9.0))
    guard.check(action(-9.0, gripper=2.0))
    guard.check(action(0.1))
    assert guard.clipped_values == 3


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('index', range(8))
def test_what_is_not_a_number_is_refused_by_name(bad, index):
    values = action()
    values[index] = bad
    with pytest.raises(ActionError, match=f"'{END_EFFECTOR_DIMENSIONS[index]}' is {bad}"):
        SafetyGuard(action_spec()).check(values)


@pytest.mark.parametrize('shape', [(7,), (9,), (1, 8), ()])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ActionError, match='the spec has 8 dimensions'):
        SafetyGuard(action_spec()).check(np.zeros(shape, np.float32))


def test_a_hold_keeps_the_gripper_and_nothing_else():
    held = action_spec().hold(action(0.05, terminate=1.0, gripper=0.75))
    np.testing.assert_array_equal(held, action(0.0, gripper=0.75))
