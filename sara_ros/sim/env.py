"""
The tabletop as a Gymnasium environment.

Importing this module registers it:
``gymnasium.make('sara_ros.sim.env:sara_ros/Tabletop-v0', suite='harder')``.
"""

from __future__ import annotations

import string
from typing import Any, Final

import gymnasium as gym
from gymnasium import spaces
import numpy as np
from numpy.typing import NDArray

from sara_ros.sim.action_space import RATE_HZ, tabletop_action
from sara_ros.sim.cameras import BUFFER_SIZE, DEPTH_RANGE_M, CameraRig
from sara_ros.sim.noisy_depth import Cameras, cameras_of
from sara_ros.sim.pair_tasks import PAIR_TASKS, parse_task
from sara_ros.sim.scene import OVERVIEW, SceneVariation
from sara_ros.sim.sensors import SensorSizes, render
from sara_ros.sim.state import WorldState
from sara_ros.sim.suites import STANDARD_SUITE, Suite, suite_named
from sara_ros.sim.tasks import INSTRUCTIONS, TASKS, TabletopTask
from sara_ros.sim.wordings import longest_paraphrase
from sara_ros.sim.world import TabletopWorld

ENV_ID: Final = 'sara_ros/Tabletop-v0'
MAX_STEPS: Final = 160
_HOLD: Final = np.array([0, 0, 0, 0, 0, 0, 0, 1], np.float32)


class TabletopEnv(gym.Env[dict[str, Any], NDArray[np.float32]]):
    """
    One task after another on random layouts; the same seed and actions give the same bits.

    An observation is a dictionary: ``front`` and ``wrist`` (H, W, 3) uint8, ``front_depth`` and
    ``wrist_depth`` (H, W) in m with 0 where there is none, ``points`` (N, 6) in ``base_link``
    with colours in [0, 1], ``ee_pose`` (7,), ``joint_positions`` (7,), ``gripper_opening`` (1,)
    and the ``instruction``. The reward is 1 in the step that accomplishes the task. The episode
    ends there, or when the action's ``terminate`` is above 0.5.
    """

    metadata: dict[str, Any] = {'render_modes': ['rgb_array'], 'render_fps': RATE_HZ}  # noqa: RUF012

    def __init__(
        self,
        *,
        suite: str | Suite = STANDARD_SUITE,
        sizes: SensorSizes | None = None,
        scene: SceneVariation | None = None,
        max_steps: int = MAX_STEPS,
        render_mode: str | None = None,
    ) -> None:
        """
        Build the world and its cameras.

        :param suite: tasks and variations: a name in ``suites.SUITES``, or a suite of one's own.
        :param scene: what the world is built with; as the suite needs it for ``None``.
        :raises ParameterError: for an unknown suite.
        """
        self.render_mode = render_mode
        self._suite = suite_named(suite) if isinstance(suite, str) else suite
        self._sizes = sizes or SensorSizes()
        self._max_steps = max_steps
        self._steps = 0
        self._task: TabletopTask = TASKS[0]
        self._instruction = self._task.instruction
        self._pending: list[NDArray[np.float32]] = []
        self.world = TabletopWorld(scene or self._suite.scene)
        self._rig = CameraRig(self.world.model)
        self._cameras: Cameras = self._rig
        limits = tabletop_action()
        self.action_space = spaces.Box(limits.low, limits.high, dtype=np.float32)
        self.observation_space = _observation_space(self._sizes)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Start an episode; ``options={'instruction': ...}`` chooses the task, else it is drawn.

        With the suite's variations the instruction that is shown may have other words, and
        actions may take effect some steps late.

        :raises ParameterError: for an unknown instruction.
        """
        super().reset(seed=seed)
        drawn, layout_seed = self.np_random.integers((len(self._suite.slots), 2**31))
        instruction = (options or {}).get('instruction')
        number = int(layout_seed) if seed is None else seed
        slot = self._suite.slots[drawn]
        wanted = self._suite.task(slot, number) if instruction is None else parse_task(instruction)
        state = self._begin(wanted, number)
        return self._observe(state), {'success': False, 'task': wanted.instruction}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """
        Apply one action of eight numbers and let 50 ms pass.

        :raises ActionError: when the action does not have eight finite numbers.
        """
        self._pending.append(action)
        applied = self._pending.pop(0)
        state = self.world.step(applied)
        self._steps += 1
        success = self._task.success(state)
        ended = success or bool(applied[0] > 0.5)
        info = {'success': success, 'task': self._task.instruction}
        return self._observe(state), float(success), ended, self._steps >= self._max_steps, info

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the whole arm, shape ``(480, 640, 3)``."""
        if self.render_mode is None:
            return None
        return self._rig.rgb(self.world.data, OVERVIEW.name, *BUFFER_SIZE)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._rig.close()

    def _begin(self, task: TabletopTask, seed: int) -> WorldState:
        state = self.world.reset(seed, task)
        conditions = self._suite.conditions(seed, task, state)
        self.world.dress(conditions)
        self._task, self._steps = task, 0
        self._instruction = conditions.wording or task.instruction
        self._cameras = cameras_of(conditions, self._rig)
        self._pending = [_HOLD] * (conditions.delay_steps or 0)
        return state

    def _observe(self, state: WorldState) -> dict[str, Any]:
        return {
            **render(self._cameras, self.world.data, self._sizes, self.np_random),
            'ee_pose': state.ee.vector,
            'joint_positions': state.joint_positions.astype(np.float32),
            'gripper_opening': np.array([state.gripper_opening], np.float32),
            'instruction': self._instruction,
        }


def _observation_space(sizes: SensorSizes) -> spaces.Dict:
    parts: dict[str, spaces.Space[Any]] = {}
    for name, size in (('front', sizes.front), ('wrist', sizes.wrist)):
        if size is None:
            continue
        parts[name] = spaces.Box(0, 255, (*size, 3), np.uint8)
        if sizes.depth_images:
            parts[f'{name}_depth'] = spaces.Box(0, DEPTH_RANGE_M, size, np.float32)
    if sizes.points is not None:
        parts['points'] = _vector((sizes.points, 6))
    parts['ee_pose'] = _vector((7,))
    parts['joint_positions'] = _vector((7,))
    parts['gripper_opening'] = _vector((1,))
    known = (*INSTRUCTIONS, *(task.instruction for task in PAIR_TASKS))
    longest = max(longest_paraphrase(), *(len(text) for text in known))
    parts['instruction'] = spaces.Text(longest, charset=string.ascii_lowercase + ' ')
    return spaces.Dict(parts)


def _vector(shape: tuple[int, ...]) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, shape, np.float32)


if ENV_ID not in gym.registry:
    gym.register(ENV_ID, 'sara_ros.sim.env:TabletopEnv')
