"""The player node: a recording behind the topics a robot would have, stamped now."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
import time
from typing import Any, Final

from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2

from sara_ros.core import ParameterError
from sara_ros.evaluation.recordings import (
    DepthScenes,
    RecordedSimulation,
    Recording,
    RobotVideo,
    Step,
)
from sara_ros.nodes import qos
from sara_ros.nodes.image_codec import camera_info, encode_image
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.playback import PlaybackNode
from sara_ros.nodes.points_codec import encode_points
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS
from sara_ros.nodes.start import end
from sara_ros.nodes.state_codec import encode_joint_state, encode_pose
from sara_ros.sim.scene import BASE_FRAME, FRONT

PARAMETERS: Final = (
    ParameterSpec('recording', '', "What to play: 'lerobot', 'scenes' or 'simulation'.",
                  read_only=True),
    ParameterSpec('folder', '', 'Folder of the recording.', read_only=True),
    ParameterSpec('episode', 0, 'Episode of a LeRobot folder.', low=0, high=2**31 - 1,
                  read_only=True),
    ParameterSpec('instruction', 'reach the red block', 'What a recorded simulation does.',
                  read_only=True),
    ParameterSpec('steps', 0, 'Steps of a LeRobot episode to play; 0: all.', low=0,
                  high=2**31 - 1, read_only=True),
)  # fmt: skip


def open_recording(node: Node) -> Recording:
    """
    Open what the parameters of ``node`` name.

    :raises ParameterError: when there is no such recording.
    """
    kinds: dict[str, Callable[[], Recording]] = {
        'lerobot': lambda: RobotVideo(
            Path(value(node, 'folder')), value(node, 'episode'), value(node, 'steps')
        ),
        'scenes': lambda: DepthScenes(Path(value(node, 'folder'))),
        'simulation': lambda: RecordedSimulation(value(node, 'instruction'), seed=1),
    }
    kind = value(node, 'recording')
    if kind not in kinds:
        raise ParameterError(f"parameter 'recording' is '{kind}'; known: {', '.join(kinds)}")
    return kinds[kind]()


class PlayerNode(PlaybackNode):
    """Plays a recording of steps at their rate."""

    def __init__(self, **kwargs: Any) -> None:
        """
        Open the recording.

        :raises ParameterError: when it cannot be opened.
        """
        super().__init__('player', **kwargs)
        declare(self, PARAMETERS)
        self._recording = open_recording(self)
        self._steps = self._recording.steps()
        self._first: Step | None = None
        self._outputs = {
            topic: self.create_publisher(kind, topic, qos.SENSOR)
            for topic, kind in (
                ('image_raw', Image), ('camera_info', CameraInfo), ('wrist/image_raw', Image),
                ('points', PointCloud2), ('joint_states', JointState), ('ee_pose', PoseStamped),
            )
        }  # fmt: skip
        self.start()

    def prepare(self) -> None:
        """Read the first step."""
        self._first = next(self._steps, None)

    def play(self) -> None:
        """Publish one step after another."""
        period_ns = round(NS / self._recording.rate_hz)
        due_ns = time.monotonic_ns()
        for step in chain([] if self._first is None else [self._first], self._steps):
            if not self.wait_until(due_ns):
                return
            self._publish_step(step)
            # A step that was late is not made up for by a burst.
            due_ns = max(due_ns + period_ns, time.monotonic_ns())

    def _publish_step(self, step: Step) -> None:
        stamp_ns = int(self.get_clock().now().nanoseconds)
        if step.joints:
            positions = np.array(list(step.joints.values()), np.float32)
            self._publish(
                'joint_states', encode_joint_state(list(step.joints), positions, stamp_ns=stamp_ns)
            )
        if step.pose is not None:
            self._publish(
                'ee_pose', encode_pose(step.pose, stamp_ns=stamp_ns, frame_id=BASE_FRAME)
            )
        if step.cloud is not None:
            cloud = step.cloud
            self._publish(
                'points',
                encode_points(
                    cloud.positions, cloud.colors, stamp_ns=stamp_ns, frame_id=cloud.frame
                ),
            )
        # The front picture goes last, since it drives most policies.
        for name in sorted(step.images, key=lambda name: name == FRONT.name):
            self._publish_image(name, step.images[name], stamp_ns)

    def _publish_image(self, name: str, rgb: Any, stamp_ns: int) -> None:
        message = encode_image(rgb, stamp_ns=stamp_ns, frame_id=f'{name}_camera_optical_frame')
        if name != FRONT.name:
            self._publish(f'{name}/image_raw', message)
            return
        # Recordings carry no calibration; a K of zeros says so (sensor_msgs/CameraInfo).
        self._publish(
            'camera_info',
            camera_info(
                width=message.width,
                height=message.height,
                intrinsics=(0.0, 0.0, 0.0, 0.0),
                stamp_ns=stamp_ns,
                frame_id=message.header.frame_id,
            ),
        )
        self._publish('image_raw', message)

    def _publish(self, topic: str, message: Any) -> None:
        self._outputs[topic].publish(message)
        self.published[topic] += 1


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(PlayerNode, args)


if __name__ == '__main__':
    end(main())
