"""The tabletop as a Gymnasium environment."""

from __future__ import annotations

import string
from typing import Any, Final

import gymnasium as gym
from gymnasium import spaces
import numpy as np
from numpy.typing import NDArray

from sara_ros.sim.action_space import RATE_HZ, tabletop_action
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.scene import OVERVIEW, SceneVariation
from sara_ros.sim.sensors import SensorSizes, render
from sara_ros.sim.state import WorldState
from sara_ros.sim.tasks import INSTRUCTIONS, TASKS, Task
from sara_ros.sim.world import TabletopWorld

MAX_STEPS: Final = 160
_RENDER_SIZE: Final = (480, 640)


class TabletopEnv(gym.Env[dict[str, Any], NDArray[np.float32]]):
    """
    One task after another on random layouts; the same seed and actions give the same bits.

    An observation is a dictionary: ``front`` and ``wrist`` (H, W, 3) uint8, ``points`` (N, 6)
    in ``base_link`` with colours in [0, 1], ``ee_pose`` (7,), ``joint_positions`` (7,),
    ``gripper_opening`` (1,) and the ``instruction``. The reward is 1 in the step that
    accomplishes the task. The episode ends there, or when the action's ``terminate`` is above
    0.5.
    """

    metadata: dict[str, Any] = {'render_modes': ['rgb_array'], 'render_fps': RATE_HZ}  # noqa: RUF012

    def __init__(
        self,
        *,
        sizes: SensorSizes | None = None,
        variation: SceneVariation | None = None,
        max_steps: int = MAX_STEPS,
        render_mode: str | None = None,
    ) -> None:
        """Build the world and its cameras."""
        self.render_mode = render_mode
        self._sizes = sizes or SensorSizes()
        self._max_steps = max_steps
        self._steps = 0
        self._task = TASKS[0]
        self.world = TabletopWorld(variation)
        self._rig = CameraRig(self.world.model)
        limits = tabletop_action()
        self.action_space = spaces.Box(limits.low, limits.high, dtype=np.float32)
        self.observation_space = _observation_space(self._sizes)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Start an episode; ``options={'instruction': ...}`` chooses the task, else it is drawn.

        :raises ParameterError: for an unknown instruction.
        """
        super().reset(seed=seed)
        drawn, layout_seed = self.np_random.integers((len(TASKS), 2**31))
        instruction = (options or {}).get('instruction')
        self._task = TASKS[drawn] if instruction is None else Task.parse(instruction)
        self._steps = 0
        state = self.world.reset(int(layout_seed) if seed is None else seed, self._task)
        return self._observe(state), {'success': False}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """
        Apply one action of eight numbers and let 50 ms pass.

        :raises ActionError: when the action does not have eight finite numbers.
        """
        state = self.world.step(action)
        self._steps += 1
        success = self._task.success(state)
        ended = success or bool(action[0] > 0.5)
        info = {'success': success}
        return self._observe(state), float(success), ended, self._steps >= self._max_steps, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the whole arm, shape ``(480, 640, 3)``."""
        if self.render_mode is None:
            return None
        return self._rig.rgb(self.world.data, OVERVIEW.name, *_RENDER_SIZE)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._rig.close()

    def _observe(self, state: WorldState) -> dict[str, Any]:
        return {
            **render(self._rig, self.world.data, self._sizes, self.np_random),
            'ee_pose': state.ee.vector,
            'joint_positions': state.joint_positions.astype(np.float32),
            'gripper_opening': np.array([state.gripper_opening], np.float32),
            'instruction': self._task.instruction,
        }


def _observation_space(sizes: SensorSizes) -> spaces.Dict:
    parts: dict[str, spaces.Space[Any]] = {
        name: spaces.Box(0, 255, (*size, 3), np.uint8)
        for name, size in (('front', sizes.front), ('wrist', sizes.wrist))
        if size is not None
    }
    if sizes.points is not None:
        parts['points'] = _vector((sizes.points, 6))
    parts['ee_pose'] = _vector((7,))
    parts['joint_positions'] = _vector((7,))
    parts['gripper_opening'] = _vector((1,))
    longest = max(len(instruction) for instruction in INSTRUCTIONS)
    charset = string.ascii_lowercase + ' '
    parts['instruction'] = spaces.Text(longest, charset=charset)
    return spaces.Dict(parts)


def _vector(shape: tuple[int, ...]) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, shape, np.float32)
