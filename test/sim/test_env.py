"""Tests of the Gymnasium environment."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.sim.cameras import DEPTH_RANGE_M
from sara_ros.sim.env import ENV_ID, TabletopEnv
from sara_ros.sim.expert import expert_action
from sara_ros.sim.pair_expert import task_action
from sara_ros.sim.pair_tasks import parse_task
from sara_ros.sim.scene import BLOCK_HALF_M
from sara_ros.sim.sensors import SensorSizes
from sara_ros.sim.suites import SUITES
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
    assert seen['front_depth'].shape == (48, 64)
    assert seen['wrist_depth'].shape == (32, 32)
    assert 0 < np.median(seen['front_depth']) < DEPTH_RANGE_M
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


def test_it_is_made_by_its_name_with_a_suite() -> None:
    """What is drawn comes from the seed, also in the harder suite; gymnasium accepts it."""
    small = SensorSizes(front=(24, 32), wrist=(16, 16), points=50, depth=(30, 40))
    env = gym.make(f'sara_ros.sim.env:{ENV_ID}', suite='harder', sizes=small)
    check_env(env.unwrapped, skip_render_check=True)
    first, info = env.reset(seed=21)
    again, _ = env.reset(seed=21)
    assert info['task'] != first['instruction']
    for name, value in first.items():
        assert np.array_equal(value, again[name]), name
        assert env.observation_space[name].contains(value), name
    env.close()


def test_an_action_of_the_latency_suite_takes_effect_late() -> None:
    bare = SensorSizes(front=None, wrist=None)
    env = TabletopEnv(suite='latency', sizes=bare)
    up = np.array([0, 0, 0, 0.03, 0, 0, 0, 1], np.float32)
    late = set()
    for seed in range(12):
        before = env.reset(seed=seed)[0]['ee_pose'][2]
        heights = [env.step(up)[0]['ee_pose'][2] - before for _ in range(5)]
        late.add(int(np.flatnonzero(np.array(heights) > 0.01)[0]))
    env.close()
    assert len(late) == 3


def test_tasks_about_two_blocks_are_rewarded() -> None:
    env = TabletopEnv(suite=SUITES['new-tasks'], sizes=SensorSizes(front=None, wrist=None))
    _, info = env.reset(seed=3)
    task = parse_task(info['task'])
    reward, ended, cut = 0.0, False, False
    while not (ended or cut):
        action = task_action(env.world.state, task)
        action[0] = 0.0
        _, reward, ended, cut, _ = env.step(action)
    env.close()
    assert (reward, ended) == (1.0, True)


def test_several_run_as_a_vector() -> None:
    small = SensorSizes(front=(24, 32), wrist=None)
    envs = gym.make_vec(
        f'sara_ros.sim.env:{ENV_ID}', num_envs=2, vectorization_mode='sync',
        sizes=small, suite='lighting',
    )  # fmt: skip
    seen, _ = envs.reset(seed=[5, 6])
    assert seen['front'].shape == (2, 24, 32, 3)
    assert len(seen['instruction']) == 2
    idle = np.zeros((2, 8), np.float32)
    _, rewards, ended, _, _ = envs.step(idle)
    assert rewards.tolist() == [0.0, 0.0]
    assert not ended.any()
    envs.close()


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(ParameterError, match="no suite 'easy'; known: standard"):
        TabletopEnv(suite='easy')


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
