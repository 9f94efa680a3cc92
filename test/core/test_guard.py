"""The safety guard."""

from core.fakes import FakeClock, action, action_spec
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from sara_ros.core import ActionDimension, ActionError, ActionSpec, Observation, PolicySpec
from sara_ros.core.guard import NS, SafetyGuard, reported_joints
from sara_ros.core.limits import SafetyLimits, WorkspaceBox
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS, ObservationSpec


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
    assert guard.counts() == {'range': 3}


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('index', range(8))
def test_what_is_not_a_number_is_refused_by_name(bad, index):
    values = action()
    values[index] = bad
    guard = SafetyGuard(action_spec())
    with pytest.raises(ActionError, match=f"'{END_EFFECTOR_DIMENSIONS[index]}' is {bad}"):
        guard.check(values)
    assert guard.counts() == {'not_finite': 1}


@pytest.mark.parametrize('shape', [(7,), (9,), (1, 8), ()])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ActionError, match='the spec has 8 dimensions'):
        SafetyGuard(action_spec()).check(np.zeros(shape, np.float32))


def test_a_hold_keeps_the_gripper_and_nothing_else():
    held = action_spec().hold(action(0.05, terminate=1.0, gripper=0.75))
    np.testing.assert_array_equal(held, action(0.0, gripper=0.75))


def guard_of(**limits):
    """Return a guard whose clock stands still."""
    spec = action_spec()
    return SafetyGuard(spec, SafetyLimits.of(spec, **limits), monotonic_ns=FakeClock())


@given(st.integers(-99, 99), st.integers(-99, 99))
def test_a_motion_grows_by_steps_and_shrinks_at_once(before, wanted):
    """Of +-0.1 m a share of 0.1 is 0.02 m; a stop is never slowed down."""
    before, wanted = np.float32(before / 1000), np.float32(wanted / 1000)
    guard = guard_of(max_change=0.1)
    sent = float(guard.check(action(wanted), action(before))[1])
    assert min(before - 0.0201, 0) <= sent <= max(before + 0.0201, 0)
    assert abs(sent) <= abs(wanted)
    if abs(wanted) <= abs(before) and wanted * before >= 0:
        assert sent == wanted


def test_a_run_begins_from_rest_and_gripper_and_flag_may_jump():
    guard = guard_of(max_change=0.1)
    sent = guard.check(action(0.1, terminate=1.0, gripper=1.0))
    np.testing.assert_allclose(sent, action(0.02, terminate=1.0, gripper=1.0))
    assert guard.counts() == {'step_change': 1}


def test_an_entry_tightens_bounds_and_change_of_one_dimension():
    guard = guard_of(entries=['x -0.05 0.05', 'y -0.1 0.1 0.01', ''])
    values = action(0.09)
    values[2] = values[3] = 0.09
    np.testing.assert_allclose(guard.check(values)[1:4], [0.05, 0.01, 0.09])
    assert guard.counts() == {'range': 1, 'step_change': 1}


BOX = WorkspaceBox.parse('0 0 0 1 1 1', lag_sec=0.1, pose_timeout_sec=0.2)


def fenced(position):
    guard = guard_of(workspace=BOX)
    guard.saw_pose(np.array(position, np.float32), FakeClock().now_ns)
    return guard


def test_inside_the_workspace_nothing_is_limited():
    guard = fenced([0.5, 0.5, 0.5])
    np.testing.assert_array_equal(guard.check(action(0.1)), action(0.1))
    assert guard.counts() == {}


@pytest.mark.parametrize(
    ('position', 'wanted', 'sent'),
    [
        (0.95, 0.1, 0.05), (0.05, -0.1, -0.05), (1.0, 0.1, 0.0), (1.0, -0.1, -0.1),
        (1.3, 0.1, 0.0), (1.3, -0.1, -0.1), (-0.3, -0.1, 0.0), (-0.3, 0.0, 0.0),
    ],
)  # fmt: skip
def test_the_workspace_stops_what_leads_out_and_never_pushes(position, wanted, sent):
    guard = fenced([position, 0.5, 0.5])
    assert guard.check(action(wanted))[1] == pytest.approx(sent, abs=1e-6)
    assert guard.counts() == ({'workspace': 1} if sent != wanted else {})


@given(
    st.lists(st.integers(-10, 10), min_size=1, max_size=30),
    st.floats(0.05, 0.95), st.integers(0, 2),
)  # fmt: skip
@example(percents=[1, 0, -4, -10], start=0.125, lag=2)
def test_late_poses_do_not_lead_out_of_the_workspace(percents, start, lag):
    """
    Nor does their rounding to float32.

    The arm once left by 1e-8 m, and by 5 mm where a motion back from the edge was counted that
    the pose already showed.
    """
    clock = FakeClock()
    limits = SafetyLimits.of(action_spec(), workspace=BOX)
    guard = SafetyGuard(action_spec(), limits, monotonic_ns=clock)
    path = [np.array([start, 0.5, 0.5])]
    times_ns = [clock()]
    for percent in percents:
        reported = max(0, len(path) - 1 - lag)
        guard.saw_pose(path[reported].astype(np.float32), times_ns[reported])
        safe = guard.check(action(percent / 100))
        path.append(path[-1] + safe[1:4].astype(float))
        clock.advance(0.05)
        times_ns.append(clock())
    assert (np.array(path) <= 1.0).all()
    assert (np.array(path) >= 0.0).all()


def test_commands_on_their_way_count_before_the_pose_shows_them():
    """A pose that lags once let the arm leave the box by several commands."""
    guard = fenced([0.85, 0.5, 0.5])
    assert [round(float(guard.check(action(0.1))[1]), 3) for _ in range(3)] == [0.1, 0.05, 0.0]
    assert guard.check(action(-0.1))[1] == np.float32(-0.1)


def test_a_newer_pose_replaces_the_commands_it_shows():
    clock = FakeClock()
    guard = SafetyGuard(
        action_spec(), SafetyLimits.of(action_spec(), workspace=BOX), monotonic_ns=clock
    )
    guard.saw_pose(np.full(3, 0.5, np.float32), clock())
    for _ in range(5):
        guard.check(action(0.1))
    assert guard.check(action(0.1))[1] == 0
    clock.advance(0.2)
    guard.saw_pose(np.full(3, 0.7, np.float32), clock())
    assert guard.check(action(0.1))[1] == np.float32(0.1)
    guard.saw_pose(np.zeros(3, np.float32), clock() - NS)  # an older one comes late
    assert guard.check(action(-0.1))[1] == np.float32(-0.1)


def test_without_a_fresh_pose_the_arm_holds():
    clock = FakeClock()
    guard = SafetyGuard(
        action_spec(), SafetyLimits.of(action_spec(), workspace=BOX), monotonic_ns=clock
    )
    assert guard.blind
    held = guard.check(action(0.05, gripper=0.75))
    np.testing.assert_array_equal(held, action(0.0, gripper=0.75))
    guard.saw_pose(np.full(3, 0.5, np.float32), clock())
    assert not guard.blind
    assert guard.check(action(0.05))[1] == np.float32(0.05)
    clock.advance(0.21)
    assert guard.check(action(0.05))[1] == 0
    assert guard.counts() == {'no_pose': 2}


def joint_spec(*names):
    dimensions = tuple(ActionDimension(name, 'rad', -3.0, 3.0) for name in ('a', 'b'))
    spec = ActionSpec('joint_positions', dimensions, '', 20.0)
    need = ObservationSpec('arm', 'joint_positions', (len(names),), 'rad', names=names)
    return PolicySpec('joints', 'rt2', (need,), spec)


def test_joints_move_by_steps_from_where_the_robot_says_they_are():
    spec = joint_spec('b', 'c', 'a')
    limits = SafetyLimits.of(spec.action, entries=['a -3 3 0.1', 'b -3 3 0.1'])
    guard = SafetyGuard(spec.action, limits)
    start = reported_joints(spec, Observation.of(arm=np.array([2.0, 9.0, -1.0], np.float32)))
    np.testing.assert_array_equal(start, [-1.0, 2.0])
    np.testing.assert_allclose(guard.check(np.zeros(2, np.float32), start), [-0.9, 1.9])


def test_a_robot_that_reports_other_joints_tells_nothing():
    observation = Observation.of(arm=np.zeros(1, np.float32))
    assert reported_joints(joint_spec('a'), observation) is None
