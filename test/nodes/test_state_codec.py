"""Joint states, poses and object states."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import Pose, PoseStamped
from sensor_msgs.msg import JointState

from sara_ros.core import ObservationError
from sara_ros.decoding.states import decode_joint_positions, decode_objects, decode_pose
from sara_ros.nodes.state_codec import encode_joint_state, encode_objects, encode_pose
from sara_ros_msgs.msg import ObjectStates

NAMES = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=8, unique=True)
NUMBERS = st.floats(-100, 100, width=32)


def unit(quaternion):
    return quaternion / np.linalg.norm(quaternion)


@given(NAMES, st.data())
def test_joint_round_trip_in_any_order(names, data):
    positions = np.array(data.draw(st.lists(NUMBERS, min_size=len(names), max_size=len(names))))
    message = encode_joint_state(names, positions.astype(np.float32), stamp_ns=0)
    wanted = data.draw(st.permutations(names))
    decoded = decode_joint_positions(message, tuple(wanted))
    expected = [positions[names.index(name)] for name in wanted]
    np.testing.assert_array_equal(decoded, np.array(expected, np.float32))


@pytest.mark.parametrize(
    ('message', 'reason', 'text'),
    [
        (JointState(name=['a'], position=[1.0]), 'missing_joint', 'lack b; they hold a'),
        (JointState(), 'missing_joint', 'lack a, b; they hold no names'),
        (JointState(name=['a', 'b'], position=[1.0]), 'malformed', '2 names and 1 positions'),
        (JointState(name=['a', 'b']), 'malformed', '2 names and 0 positions'),
        (JointState(name=['b', 'a'], position=[np.nan, 0]), 'not_finite', 'joint positions'),
        (JointState(name=['a', 'b'], position=[0, np.inf]), 'not_finite', 'NaN or infinity'),
        (JointState(name=['a', 'b'], position=[0, 1e300]), 'not_finite', 'NaN or infinity'),
    ],
)
def test_unusable_joint_states_say_why(message, reason, text):
    with pytest.raises(ObservationError, match=text) as err:
        decode_joint_positions(message, ('a', 'b'))
    assert err.value.reason == reason


def test_joints_nobody_asked_for_may_be_anything():
    message = JointState(name=['a', 'b'], position=[1.0, np.nan])
    np.testing.assert_array_equal(decode_joint_positions(message, ('a',)), [1.0])


@given(arrays(np.float32, 7, elements=NUMBERS).filter(lambda p: np.linalg.norm(p[3:]) > 1e-3))
def test_pose_round_trip(pose):
    """The quaternion comes back at unit length."""
    message = encode_pose(pose, stamp_ns=0, frame_id='base_link')
    decoded = decode_pose(message)
    np.testing.assert_array_equal(decoded[:3], pose[:3])
    np.testing.assert_allclose(decoded[3:], unit(pose[3:].astype(float)), atol=1e-6)
    assert message.header.frame_id == 'base_link'


def pose(**changes):
    """Return a pose at the origin with fields such as ``orientation.x`` changed."""
    message = Pose()
    message.orientation.w = 1.0
    for path, value in changes.items():
        part, axis = path.split('_')
        setattr(getattr(message, part), axis, value)
    return message


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'orientation_w': 0.0}, 'malformed'),
        ({'orientation_x': np.nan}, 'not_finite'),
        ({'orientation_w': np.inf}, 'not_finite'),
        ({'position_y': np.nan}, 'not_finite'),
        ({'position_z': -np.inf}, 'not_finite'),
        ({'position_x': 1e300}, 'not_finite'),
    ],
)
@pytest.mark.filterwarnings('error')
def test_unusable_poses_are_refused_without_a_warning(changes, reason):
    with pytest.raises(ObservationError) as err:
        decode_pose(PoseStamped(pose=pose(**changes)))
    assert err.value.reason == reason
    with pytest.raises(ObservationError) as err:
        decode_objects(ObjectStates(names=['a'], poses=[pose(**changes)]), ('a',))
    assert err.value.reason == reason


def test_objects_round_trip_in_the_order_asked_for():
    poses = np.zeros((3, 7), np.float32)
    poses[:, 0], poses[:, 6] = (1, 2, 3), 1
    message = encode_objects(('a', 'b', 'c'), poses, stamp_ns=0, frame_id='base_link')
    np.testing.assert_array_equal(decode_objects(message, ('c', 'a')), poses[[2, 0]])


@pytest.mark.parametrize(
    ('message', 'reason', 'text'),
    [
        (ObjectStates(), 'missing_object', 'lack a; they hold no names'),
        (ObjectStates(names=['b'], poses=[pose()]), 'missing_object', 'lack a; they hold b'),
        (ObjectStates(names=['a']), 'malformed', '1 names and 0 poses'),
    ],
)
def test_unusable_object_states_say_why(message, reason, text):
    with pytest.raises(ObservationError, match=text) as err:
        decode_objects(message, ('a',))
    assert err.value.reason == reason
