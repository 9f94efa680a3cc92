"""Frames from TF, as far as it is installed."""

from types import SimpleNamespace

from geometry_msgs.msg import TransformStamped
from nodes.host import Host, until
import numpy as np
import pytest
from rclpy.node import Node

from sara_ros.core import ObservationError
from sara_ros.decoding.transforms import StaticTransforms
from sara_ros.nodes.frame_watch import STATIC_QOS, STATIC_TOPIC, FrameWatch


def stamped(target, source, x, w=1.0):
    message = TransformStamped(child_frame_id=source)
    message.header.frame_id = target
    message.transform.translation.x = x
    message.transform.rotation.w = w
    return message


def test_transforms_that_are_published_are_found(context, station):
    """Latched, and also published before the node listened."""
    kind = pytest.importorskip('tf2_msgs.msg', reason='needs tf2_msgs').TFMessage
    told = station.node.create_publisher(kind, STATIC_TOPIC, STATIC_QOS)
    told.publish(kind(transforms=[stamped('base', 'mount', 1.0), stamped('mount', 'cam', 2.0)]))
    with Host(context, lambda **kwargs: Node('watcher', **kwargs)) as host:
        watch = FrameWatch(host.node, StaticTransforms(['base fixed 7 0 0 0 0 0 1']))

        def found():
            try:
                return watch.lookup('base', 'cam') is not None
            except ObservationError:
                return False

        until(found, 'the transform')
        np.testing.assert_allclose(watch.lookup('base', 'cam')[:3, 3], [3, 0, 0])
        np.testing.assert_allclose(watch.lookup('base', 'fixed')[:3, 3], [7, 0, 0])
        watch.close()
    station.node.destroy_publisher(told)


def test_without_tf_the_parameter_is_all_there_is(context, monkeypatch):
    import sys

    for name in ('tf2_ros', 'tf2_msgs', 'tf2_msgs.msg'):
        monkeypatch.setitem(sys.modules, name, None)
    node = Node('watcher_alone', context=context)
    watch = FrameWatch(node, StaticTransforms(['base cam 7 0 0 0 0 0 1']))
    assert watch.source == 'static_transforms'
    np.testing.assert_allclose(watch.lookup('base', 'cam')[:3, 3], [7, 0, 0])
    with pytest.raises(ObservationError, match='static_transforms'):
        watch.lookup('base', 'elsewhere')
    node.destroy_node()


def test_a_transform_that_is_no_pose_is_left_out(context):
    node = Node('watcher_of_noise', context=context)
    watch = FrameWatch(node, StaticTransforms([]), listen=False)
    watch._on_static(SimpleNamespace(transforms=[stamped('a', 'b', 1.0, w=0.0),
                                                 stamped('b', 'c', 2.0)]))  # fmt: skip
    np.testing.assert_allclose(watch.lookup('b', 'c')[:3, 3], [2, 0, 0])
    with pytest.raises(ObservationError):
        watch.lookup('a', 'b')
    node.destroy_node()
