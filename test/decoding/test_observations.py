"""Decoders take any message with the right fields, whoever made it."""

from evaluation.replay.bags import CLOUD, IMAGE, JOINT_STATE, MAKER, POSE
import numpy as np
import pytest

from sara_ros.core import ObservationError, ObservationSpec
from sara_ros.decoding.observations import check_stamp, decode, default_topic
from sara_ros.decoding.transforms import StaticTransforms
from sara_ros.evaluation.replay.ros2_messages import serialised

STAMP_NS = 1_700_000_000_123_456_789
NEEDS = {
    IMAGE: ObservationSpec('front', 'image', (None, None, 3), 'rgb8'),
    JOINT_STATE: ObservationSpec(
        'arm', 'joint_positions', (2,), 'rad', names=('elbow', 'shoulder')
    ),
    POSE: ObservationSpec('hand', 'pose', (7,), 'm', 'base_link'),
    CLOUD: ObservationSpec('points', 'points', (None, 3), 'm', 'world'),
}
MESSAGES = {
    IMAGE: MAKER.image(STAMP_NS, 77, encoding='bgr8', step=23, data=np.arange(92, dtype=np.uint8)),
    JOINT_STATE: MAKER.joints(STAMP_NS, (0.25, -0.5)),
    POSE: MAKER.pose(STAMP_NS, (1, 2, 3), (0, 0, 2, 2)),
    CLOUD: MAKER.cloud(STAMP_NS, [(1, 2, 3), (np.nan, 0, 0), (4, 5, 6)], stride=17),
}
TRANSFORMS = StaticTransforms(['world base_link 10 0 0 0 0 0 1'])


@pytest.mark.parametrize('kind', list(NEEDS))
def test_messages_of_a_bag_and_of_rclpy_decode_to_the_same_bits(kind):
    serialization = pytest.importorskip('rclpy.serialization')
    package, _, name = kind.split('/')
    live_type = getattr(pytest.importorskip(f'{package}.msg'), name)
    live = serialization.deserialize_message(serialised(MESSAGES[kind], kind), live_type)
    need = NEEDS[kind]
    recorded = decode(need, MESSAGES[kind], TRANSFORMS)
    assert recorded.tobytes() == decode(need, live, TRANSFORMS).tobytes()
    assert recorded.size


def test_values_are_in_the_order_and_frame_of_the_need():
    np.testing.assert_array_equal(
        decode(NEEDS[JOINT_STATE], MESSAGES[JOINT_STATE], TRANSFORMS), [-0.5, 0.25]
    )
    np.testing.assert_array_equal(
        decode(NEEDS[CLOUD], MESSAGES[CLOUD], TRANSFORMS), [[11, 2, 3], [14, 5, 6]]
    )


@pytest.mark.parametrize(
    ('age_sec', 'reason'), [(0.0, ''), (0.2, ''), (0.21, 'late'), (-0.1, ''), (-0.11, 'future')]
)
def test_stamps_may_be_a_little_early_and_as_late_as_the_spec_says(age_sec, reason):
    now_ns = STAMP_NS + round(age_sec * 1e9)
    if not reason:
        check_stamp(NEEDS[IMAGE], STAMP_NS, now_ns)
        return
    with pytest.raises(ObservationError) as caught:
        check_stamp(NEEDS[IMAGE], STAMP_NS, now_ns)
    assert caught.value.reason == reason


def test_the_first_camera_has_the_plain_topic():
    from core.fakes import policy_spec

    wrist = ObservationSpec('wrist', 'image', (None, None, 3), 'rgb8')
    spec = policy_spec(NEEDS[IMAGE], wrist, NEEDS[POSE], NEEDS[JOINT_STATE])
    assert [default_topic(need, spec) for need in spec.observations] == [
        'image_raw', 'wrist/image_raw', 'hand', 'joint_states',
    ]  # fmt: skip
