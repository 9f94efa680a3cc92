"""Recordings that can be played into the graph, one step after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError
from sara_ros.evaluation.table_frame import camera_above_table
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.expert import expert_action
from sara_ros.sim.points import depth_to_points
from sara_ros.sim.scene import BASE_FRAME, FINGER_JOINT, FINGER_TRAVEL_M, FRONT, WRIST
from sara_ros.sim.tasks import Task
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.lerobot import LeRobotRecording

HOME_POSE: Final = (0.45, 0.0, 0.25, 1.0, 0.0, 0.0, 0.0)
"""Where the gripper is said to be on recordings without a robot: above the table, open."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """Positions ``(..., 3)`` m with NaN where depth is missing, colours ``(..., 3)`` uint8."""

    positions: NDArray[np.float32]
    colors: NDArray[np.uint8]
    frame: str


@dataclass(frozen=True, slots=True)
class Step:
    """What the sensors of a recording saw at one instant; empty where it has none."""

    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    joints: Mapping[str, float] = field(default_factory=dict)
    pose: NDArray[np.float32] | None = None
    cloud: Cloud | None = None


class Recording(Protocol):
    """
    A source of steps at a fixed rate.

    ``instruction`` is what the people in the recording were doing, and ``transforms`` what a
    policy must know of its frames, as the parameter ``static_transforms`` takes it.
    """

    name: str
    kind: str
    licence: str
    note: str
    instruction: str
    rate_hz: float
    transforms: list[str]

    def steps(self) -> Iterator[Step]:
        """Yield the steps in order."""
        ...


class RobotVideo:
    """A LeRobot episode: camera frames and joint states of a real robot."""

    kind = 'LeRobot v2.1 episode'

    def __init__(self, folder: Path, episode: int, most: int = 0) -> None:
        """Read the first ``most`` steps of an episode, all of them for 0."""
        self._recording = LeRobotRecording(folder)
        self._episode = self._recording.episode(episode)
        self._most = most or None
        self.name = f'{folder.name}, episode {episode}'
        self.licence = licence_of(folder)
        self.note = ''
        self.instruction = self._episode.instruction
        self.rate_hz = self._recording.fps
        self.transforms: list[str] = []

    def steps(self) -> Iterator[Step]:
        """Yield one frame and state after another."""
        names = self._recording.names('observation.state')
        frames = self._recording.frames(self._episode.index)
        for frame, state in islice(zip(frames, self._episode.states, strict=False), self._most):
            joints = {name: float(value) for name, value in zip(names, state, strict=True)}
            yield Step(images={FRONT.name: frame}, joints=joints)


class DepthScenes:
    """
    Single organised clouds of a table, each repeated at a fixed rate.

    The scenes hold no robot, so the gripper is said to rest at ``HOME_POSE``. The camera's pose
    in each follows from the plane of its table.
    """

    kind = 'Kinect scenes'
    rate_hz = 10.0

    def __init__(self, folder: Path, repeats: int = 30) -> None:
        """
        Read every ``*.pcd`` of a folder.

        :raises ParameterError: when there is none, or it is not a cloud.
        """
        import open3d

        paths = sorted(folder.glob('*.pcd'))
        if not paths:
            raise ParameterError(f'{folder} holds no .pcd file')
        self._clouds = [
            _read_cloud(open3d.t.io.read_point_cloud(str(path)), f'{path.stem}_optical_frame')
            for path in paths
        ]
        self._repeats = repeats
        self.name = f'{folder.name}, {len(paths)} scenes'
        self.licence = licence_of(folder)
        self.note = (
            f'one frame each, repeated at {self.rate_hz:g} Hz; the gripper is said to rest above '
            'the table; camera pose from a plane fitted to the table'
        )
        self.instruction = 'reach the red block'
        self.transforms = [
            _transform(cloud.frame, camera_above_table(cloud.positions)) for cloud in self._clouds
        ]

    def steps(self) -> Iterator[Step]:
        """Yield each scene as often as asked."""
        pose = np.array(HOME_POSE, np.float32)
        for cloud in self._clouds:
            for _ in range(self._repeats):
                yield Step(cloud=cloud, pose=pose, joints={FINGER_JOINT: FINGER_TRAVEL_M})


class RecordedSimulation:
    """
    An episode of the simulator driven by its scripted expert, for machines without data.

    It begins with the arm at rest, while subscribers are discovered, and ends when the expert is
    done: what comes after would only tell a policy to terminate.
    """

    kind = 'recorded simulation'
    licence = 'Apache-2.0'
    rate_hz = 20.0

    def __init__(
        self, instruction: str, seed: int, *, rest_sec: float = 2.0, longest_sec: float = 8.0
    ) -> None:
        """Record when asked for the steps."""
        self._task = Task.parse(instruction)
        self._seed = seed
        self._rest = int(rest_sec * self.rate_hz)
        self._longest = int(longest_sec * self.rate_hz)
        self.name = f'simulation, seed {seed}'
        self.note = 'recorded from the simulator, because no real recording was found'
        self.instruction = instruction
        world = TabletopWorld()
        with CameraRig(world.model) as rig:
            pose = rig.pose(world.data, FRONT.name)
        self.transforms = [_transform(FRONT.frame, pose.vector)]

    def steps(self) -> Iterator[Step]:
        """Yield all sensors while the expert works."""
        world = TabletopWorld()
        state = world.reset(self._seed, self._task)
        with CameraRig(world.model) as rig:
            for index in range(self._longest):
                rgb, depth = rig.rgb_depth(world.data, FRONT.name, 120, 160)
                intrinsics = rig.intrinsics(FRONT.name, 120, 160)
                positions, colors = depth_to_points(depth, intrinsics, rgb)
                yield Step(
                    images={
                        FRONT.name: rig.rgb(world.data, FRONT.name, 480, 640),
                        WRIST.name: rig.rgb(world.data, WRIST.name, 128, 128),
                    },
                    joints={FINGER_JOINT: state.gripper_opening * FINGER_TRAVEL_M},
                    pose=state.ee.vector,
                    cloud=Cloud(positions, colors, FRONT.frame),
                )
                if index < self._rest:
                    continue
                action = expert_action(state, self._task)
                if action[0] > 0.5:
                    return
                state = world.step(action)


def licence_of(folder: Path) -> str:
    """Return the first line of the licence beside the data, or 'unknown'."""
    path = folder / 'LICENSE'
    lines = path.read_text(errors='replace').splitlines() if path.is_file() else []
    return next((line.strip() for line in lines if line.strip()), 'unknown')


def _transform(frame: str, pose: NDArray[Any]) -> str:
    numbers = ' '.join(f'{value:.6f}' for value in pose)
    return f'{BASE_FRAME} {frame} {numbers}'


def _read_cloud(cloud: Any, frame: str) -> Cloud:
    if 'positions' not in cloud.point or not len(cloud.point.positions):
        raise ParameterError('a .pcd file holds no points')
    positions = cloud.point.positions.numpy().astype(np.float32)
    colors = (
        cloud.point.colors.numpy().astype(np.uint8)
        if 'colors' in cloud.point
        else np.full(positions.shape, 128, np.uint8)
    )
    return Cloud(positions, colors, frame)
