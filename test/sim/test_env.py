"""Tests of the Gymnasium environment."""

from __future__ import annotations

from collections.abc import Iterator

from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.sim.env import TabletopEnv
from sara_ros.sim.expert import expert_action
from sara_ros.sim.scene import BLOCK_HALF_M
from sara_ros.sim.sensors import SensorSizes
from sara_ros.sim.tasks import INSTRUCTIONS, Task
from sara_ros.sim.world import TabletopWorld

SIZES = SensorSizes(front=(48, 64), wrist=(32, 32), points=300, depth=(60, 80))


@pytest.fixture(scope='module')
def env() -> Iterator[TabletopEnv]:
    """Return an environment with every sensor, small."""
    made = TabletopEnv(sizes=SIZES, render_mode='rgb_array', max_steps=60)
    yield made
    made.close()


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_gymnasium_accepts_it(env: TabletopEnv) -> None:
    check_env(env, skip_render_check=True)


def test_the_same_seed_gives_the_same_observations(env: TabletopEnv) -> None:
    runs = []
    for _ in range(2):
        first, _ = env.reset(seed=4)
        second = env.step(np.array([0, 0.02, 0, -0.01, 0, 0, 0.1, 0], np.float32))[0]
        runs.append((first, second))
    for one, other in zip(*runs, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert np.array_equal(one[name], other[name]), name


def test_a_seed_means_the_same_layout_as_in_the_world(env: TabletopEnv) -> None:
    env.reset(seed=11, options={'instruction': 'push the red block to the disc'})
    layout = {name: pose.position for name, pose in env.world.state.objects.items()}
    world = TabletopWorld()
    for name, pose in world.reset(11, Task('push', 'red')).objects.items():
        assert np.array_equal(pose.position, layout[name]), name


def test_an_observation_holds_what_was_asked_for(env: TabletopEnv) -> None:
    seen, _ = env.reset(seed=1)
    assert seen['front'].shape == (48, 64, 3)
    assert seen['wrist'].shape == (32, 32, 3)
    assert seen['points'].shape == (300, 6)
    assert seen['points'][:, 3:].max() <= 1.0
    assert seen['instruction'] in INSTRUCTIONS
    assert seen['ee_pose'][:3] == pytest.approx(env.world.state.ee.position)


def test_sensors_can_be_left_out() -> None:
    env = TabletopEnv(sizes=SensorSizes(front=None, wrist=None))
    seen, _ = env.reset(seed=1)
    env.close()
    assert set(seen) == {'ee_pose', 'joint_positions', 'gripper_opening', 'instruction'}


def test_points_are_in_the_base_frame(env: TabletopEnv) -> None:
    points = env.reset(seed=1)[0]['points']
    on_table = points[(points[:, 0] > 0.4) & (points[:, 2] < 2 * BLOCK_HALF_M)]
    assert np.abs(np.median(on_table[:, 2])) < 0.001


def test_success_ends_the_episode_with_a_reward(env: TabletopEnv) -> None:
    task = Task('lift', 'blue')
    env.reset(seed=2, options={'instruction': task.instruction})
    rewards, ended, cut = [], False, False
    while not (ended or cut):
        _, reward, ended, cut, info = env.step(expert_action(env.world.state, task))
        rewards.append(reward)
    assert ended
    assert info['success']
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]


def test_terminate_ends_the_episode_without_a_reward(env: TabletopEnv) -> None:
    env.reset(seed=2, options={'instruction': 'lift the blue block'})
    _, reward, ended, cut, info = env.step(np.array([1, 0, 0, 0, 0, 0, 0, 1], np.float32))
    assert (reward, ended, cut, info['success']) == (0.0, True, False, False)


def test_an_idle_episode_is_cut(env: TabletopEnv) -> None:
    env.reset(seed=2, options={'instruction': 'lift the blue block'})
    idle = np.array([0, 0, 0, 0, 0, 0, 0, 1], np.float32)
    outcomes = [env.step(idle)[2:4] for _ in range(60)]
    assert outcomes == [(False, False)] * 59 + [(False, True)]


def test_an_unknown_instruction_is_refused(env: TabletopEnv) -> None:
    with pytest.raises(ParameterError, match='unknown instruction'):
        env.reset(options={'instruction': 'make tea'})


def test_sizes_are_checked() -> None:
    with pytest.raises(ParameterError, match='points is 0'):
        SensorSizes(points=0)


def test_the_picture_shows_the_scene(env: TabletopEnv) -> None:
    env.reset(seed=1)
    picture = env.render()
    assert picture is not None
    assert picture.shape == (480, 640, 3)
    assert picture.std() > 30
