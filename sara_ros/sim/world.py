"""The tabletop world: physics, arm and objects, in steps as small as the caller wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import mink
import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sara_ros.core import ParameterError
from sara_ros.sim import scene
from sara_ros.sim.action_space import RATE_HZ
from sara_ros.sim.arm import ArmController, JointTargets
from sara_ros.sim.arm_description import tabletop_arm
from sara_ros.sim.conditions import Conditions
from sara_ros.sim.dressing import Dressing
from sara_ros.sim.kinematics import CONTROL_PERIOD_SEC
from sara_ros.sim.layout import Layout, sample_layout
from sara_ros.sim.state import Pose, WorldState
from sara_ros.sim.tasks import TabletopTask

STEP_SEC: Final = 1 / RATE_HZ

_OVERLAP_M: Final = 0.003

_START_LOW_M: Final = (0.38, -0.15, 0.14)
_START_HIGH_M: Final = (0.52, 0.15, 0.24)


class TabletopWorld:
    """
    A MuJoCo world that obeys end-effector actions; the same seed gives the same episode.

    ``model`` and ``data`` are MuJoCo's own, for cameras; only this class writes to them.
    """

    def __init__(self, variation: scene.SceneVariation | None = None) -> None:
        """Build the scene and reset it with seed 0."""
        self.model = scene.build_model(variation)
        self.data = mujoco.MjData(self.model)
        self._arm = ArmController(tabletop_arm(), self._ee_pose)
        self._ticks_per_control = round(CONTROL_PERIOD_SEC / self.model.opt.timestep)
        self._blocks = {color: self.model.joint(color) for color in scene.COLORS}
        self._bodies = {name: self.model.body(name).id for name in scene.OBJECTS}
        self._joints = [int(self.model.joint(name).qposadr[0]) for name in scene.JOINTS]
        self._fingers = [
            int(self.model.joint(name).qposadr[0])
            for name in (scene.FINGER_JOINT, f'{scene.FINGER_JOINT}_mimic')
        ]
        self._site = self.model.site('ee').id
        self._peaks: dict[str, float] = {}
        self._ticks = 0
        self._debt_sec = 0.0
        self._dressing = Dressing(self.model, self.data)
        self.reset(0)

    @property
    def time_sec(self) -> float:
        """Simulated time since the reset."""
        return self._ticks * float(self.model.opt.timestep)

    def reset(self, seed: int, task: TabletopTask | None = None) -> WorldState:
        """
        Start a new episode: a new layout, the gripper open somewhere above the table.

        The layout has room for the task: a block to be pushed has a free way to the disc. The
        scene looks as in the standard suite until :meth:`dress` is called.
        """
        rng = np.random.default_rng(seed)
        layout = sample_layout(rng, None if task is None else task.has_room)
        return self.restart(layout, rng.uniform(_START_LOW_M, _START_HIGH_M))

    def restart(self, layout: Layout, ee_position: ArrayLike) -> WorldState:
        """Start an episode with a given layout and end-effector position (m)."""
        self._dressing.clear()
        mujoco.mj_resetData(self.model, self.data)
        self._ticks, self._debt_sec = 0, 0.0
        for color in scene.COLORS:
            self._put_block(color, *layout[color])
        self.data.mocap_pos[0] = (*layout[scene.DISC][:2], 0)
        return self.teleport(ee_position)

    def dress(self, conditions: Conditions) -> None:
        """
        Make this episode look as ``conditions`` say; how it moves stays the same.

        :raises ParameterError: when the scene was not built for them.
        """
        self._dressing.wear(conditions)
        self._refresh()

    def teleport(
        self,
        ee_position: ArrayLike,
        *,
        yaw_rad: float = 0.0,
        opening: float = 1.0,
        holding: str | None = None,
    ) -> WorldState:
        """
        Put the gripper somewhere at once, at rest and pointing down, for data generation.

        :param ee_position: m in ``base_link``; clamped to the workspace.
        :param holding: colour of a block to put between the closed fingers.
        :raises ParameterError: when ``holding`` names no block.
        """
        if holding is not None and holding not in scene.COLORS:
            raise ParameterError(f"cannot hold '{holding}'; blocks: {', '.join(scene.COLORS)}")
        grip = scene.BLOCK_HALF_M / scene.FINGER_TRAVEL_M
        position = np.asarray(ee_position, np.float64)
        targets = self._arm.place(position, yaw_rad, grip if holding else opening)
        self._drive(targets)
        self.data.qpos[self._joints] = targets.positions
        self.data.qpos[self._fingers] = scene.FINGER_TRAVEL_M * (grip if holding else opening)
        self.data.qvel[:] = 0
        mujoco.mj_forward(self.model, self.data)
        if holding is not None:
            x, y, z = self.data.site_xpos[self._site]
            self._put_block(holding, x, y, yaw_rad, z)
            self._arm.grip(0.0)
            mujoco.mj_forward(self.model, self.data)
        self._peaks = {color: self._height(color) for color in scene.COLORS}
        return self.state

    def apply(self, action: NDArray[Any]) -> None:
        """
        Take one action; without another the arm moves to its target and holds still there.

        :raises ActionError: when the action does not have eight finite numbers.
        """
        self._arm.apply(action)

    def advance(self, dt_sec: float) -> None:
        """Let time pass; what does not fill a physics step is kept for the next call."""
        self._debt_sec += dt_sec
        timestep = float(self.model.opt.timestep)
        # Half a step of slack: a sum of rounded periods must not lose a tick.
        while self._debt_sec > timestep / 2:
            if self._ticks % self._ticks_per_control == 0:
                self._drive(self._arm.follow())
            mujoco.mj_step(self.model, self.data)
            self._ticks += 1
            self._debt_sec -= timestep
        self._refresh()
        for color in scene.COLORS:
            self._peaks[color] = max(self._peaks[color], self._height(color))

    def step(self, action: NDArray[Any]) -> WorldState:
        """Apply one action and let its 50 ms pass."""
        self.apply(action)
        self.advance(STEP_SEC)
        return self.state

    @property
    def state(self) -> WorldState:
        """A copy of what is true now."""
        ee = self._ee_pose()
        return WorldState(
            ee=Pose(np.array(ee.translation()), np.roll(ee.rotation().wxyz, -1)),
            gripper_opening=float(self.data.qpos[self._fingers].mean() / scene.FINGER_TRAVEL_M),
            objects=self._object_poses(),
            joint_positions=np.array(self.data.qpos[self._joints]),
            peak_heights_m=dict(self._peaks),
        )

    @property
    def colliding(self) -> bool:
        """Whether bodies overlap more than they ever would live, as after a bad teleport."""
        return bool((self.data.contact.dist[: self.data.ncon] < -_OVERLAP_M).any())

    def _drive(self, targets: JointTargets) -> None:
        self.data.ctrl[:7] = targets.positions
        self.data.ctrl[7] = targets.opening * scene.FINGER_TRAVEL_M

    def _ee_pose(self) -> mink.SE3:
        rotation = mink.SO3.from_matrix(self.data.site_xmat[self._site].reshape(3, 3))
        return mink.SE3.from_rotation_and_translation(rotation, self.data.site_xpos[self._site])

    def _refresh(self) -> None:
        """Bring poses up to date after a step without touching the dynamics."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)

    def _object_poses(self) -> Mapping[str, Pose]:
        return {
            name: Pose(np.array(self.data.xpos[body]), np.roll(self.data.xquat[body], -1))
            for name, body in self._bodies.items()
        }

    def _put_block(
        self, color: str, x: float, y: float, yaw_rad: float, z: float = scene.BLOCK_HALF_M
    ) -> None:
        start = int(self._blocks[color].qposadr[0])
        half = yaw_rad / 2
        self.data.qpos[start : start + 7] = (x, y, z, np.cos(half), 0, 0, np.sin(half))

    def _height(self, color: str) -> float:
        return float(self.data.xpos[self._bodies[color]][2])
