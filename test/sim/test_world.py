"""Tests of the world: same bits, standing still, limits, bad actions."""

from __future__ import annotations

import numpy as np
import pytest

from sara_ros.core import ActionError, ParameterError
from sara_ros.sim.expert import expert_action
from sara_ros.sim.points import to_camera
from sara_ros.sim.scene import BLOCK_HALF_M, FINGER_TRAVEL_M, JOINTS
from sara_ros.sim.tasks import Task
from sara_ros.sim.world import STEP_SEC, TabletopWorld

SPOT = (0.45, 0.0, 0.2)


def _action(*, dz: float = 0.0, opening: float = 1.0, turn: float = 0.0) -> np.ndarray:
    return np.array([0, 0, 0, dz, turn, 0, 0, opening], np.float64)


def _episode(world: TabletopWorld, seed: int) -> bytes:
    task = Task('place', 'blue')
    state = world.reset(seed, task)
    bits = [world.data.qpos.tobytes()]
    for _ in range(25):
        state = world.step(expert_action(state, task))
        bits.append(world.data.qpos.tobytes() + world.data.qvel.tobytes())
    return b''.join(bits)


def _lowest_fingertip_m(world: TabletopWorld) -> float:
    heights = []
    for name in ('left_fingertip', 'right_fingertip'):
        geom = world.data.geom(name)
        half = np.abs(geom.xmat.reshape(3, 3)[2]) @ world.model.geom(name).size
        heights.append(geom.xpos[2] - half)
    return float(min(heights))


def test_the_same_seed_gives_the_same_bits(world: TabletopWorld) -> None:
    first = _episode(world, 5)
    _episode(world, 6)
    assert _episode(world, 5) == first
    assert _episode(TabletopWorld(), 5) == first


def test_another_seed_gives_another_layout(world: TabletopWorld) -> None:
    first = world.reset(1).objects['red'].position
    assert not np.allclose(first, world.reset(2).objects['red'].position, atol=1e-3)


def test_small_pieces_of_time_add_up_to_the_same_step(world: TabletopWorld) -> None:
    action = np.array([0, 0.02, -0.01, -0.02, 0, 0, 0.1, 0.0])
    world.reset(3)
    for _ in range(4):
        world.step(action)
    whole = world.data.qpos.tobytes()
    world.reset(3)
    for _ in range(4):
        world.apply(action)
        for _ in range(10):
            world.advance(STEP_SEC / 10)
    assert world.data.qpos.tobytes() == whole
    assert world.time_sec == pytest.approx(4 * STEP_SEC)


def test_time_that_fills_no_physics_step_is_not_lost(world: TabletopWorld) -> None:
    world.reset(0)
    for _ in range(1000):
        world.advance(0.001)
    assert world.time_sec == pytest.approx(1.0, abs=0.003)


def test_without_actions_the_arm_holds_still(world: TabletopWorld) -> None:
    world.reset(4)
    for _ in range(3):
        world.step(np.array([0, 0.03, 0.03, -0.01, 0, 0, 0.1, 1.0]))
    world.advance(0.5)
    before = world.state
    worst = 0.0
    for _ in range(40):
        world.advance(STEP_SEC)
        gap = world.state.ee.position - before.ee.position
        worst = max(worst, float(np.linalg.norm(gap)))
    assert worst < 0.001
    assert np.allclose(world.state.joint_positions, before.joint_positions, atol=1e-3)


def _grip(world: TabletopWorld, color: str) -> np.ndarray:
    """Return where the block is in the frame of the hand."""
    state = world.state
    return to_camera(state.objects[color].position[None], state.ee)[0]


def test_a_held_block_does_not_slip(world: TabletopWorld) -> None:
    """A soft, slowly damped contact let blocks creep 2 cm out of the fingers."""
    world.reset(4)
    world.teleport(SPOT, yaw_rad=0.2, holding='green')
    world.advance(0.2)
    before = _grip(world, 'green')
    for index in range(40):
        up = 0.02 if index % 4 < 2 else -0.02
        world.step(np.array([0, up, -up, up, 0, 0, 0.05, 0.0]))
    world.advance(0.3)
    assert np.linalg.norm(_grip(world, 'green') - before) < 0.004
    assert world.state.gripper_opening == pytest.approx(BLOCK_HALF_M / FINGER_TRAVEL_M, abs=0.05)


def test_joints_and_fingertips_stay_within_limits(world: TabletopWorld) -> None:
    rng = np.random.default_rng(0)
    low, high = world.model.jnt_range[: len(JOINTS)].T
    lowest = margin = np.inf
    fastest = 0.0
    for episode in range(8):
        world.reset(episode)
        drift = rng.uniform((-0.03, -0.03, -0.05), (0.03, 0.03, 0.01))
        turn = rng.uniform(-0.15, 0.15, 3)
        for _ in range(30):
            noise = rng.normal(0, 0.02, 3)
            world.apply(np.concatenate([[0], drift + noise, turn, rng.uniform(0, 1, 1)]))
            for _ in range(5):
                world.advance(STEP_SEC / 5)
                joints = world.state.joint_positions
                margin = min(margin, (joints - low).min(), (high - joints).min())
                lowest = min(lowest, _lowest_fingertip_m(world))
                fastest = max(fastest, float(np.abs(world.data.qvel[: len(JOINTS)]).max()))
    assert margin > 0
    assert lowest > -0.0005
    assert 0.5 < fastest < 3.5


def test_pressing_on_the_table_does_not_wind_up(world: TabletopWorld) -> None:
    world.reset(0)
    for _ in range(40):
        pressed = world.step(_action(dz=-0.03))
    assert pressed.ee.position[2] == pytest.approx(0.016, abs=0.002)
    world.step(_action(dz=0.03))
    assert world.step(_action(dz=0.03)).ee.position[2] > 0.045


def test_a_burst_of_actions_does_not_carry_the_arm_away(world: TabletopWorld) -> None:
    world.reset(0)
    before = world.teleport(SPOT)
    for _ in range(10):
        world.apply(_action(dz=0.03))
    world.advance(0.5)
    assert world.state.ee.position[2] - before.ee.position[2] == pytest.approx(0.06, abs=1e-3)


def test_the_hand_tilts_no_farther_than_allowed(world: TabletopWorld) -> None:
    world.reset(0)
    for _ in range(30):
        state = world.step(_action(turn=0.15))
    x, y = state.ee.quaternion[:2]
    tilt = np.arccos(np.clip(2 * (x * x + y * y) - 1, -1, 1))
    assert tilt == pytest.approx(0.5, abs=0.02)


def test_an_action_moves_by_what_it_says(world: TabletopWorld) -> None:
    world.reset(0)
    before = world.teleport(SPOT)
    world.step(np.array([0, 0.02, -0.01, 0.015, 0, 0, 0.1, 0.4]))
    world.advance(0.3)
    after = world.state
    moved = after.ee.position - before.ee.position
    assert moved == pytest.approx([0.02, -0.01, 0.015], abs=1e-3)
    assert after.ee.yaw_rad == pytest.approx(0.1, abs=0.01)
    assert after.gripper_opening == pytest.approx(0.4, abs=0.02)


def test_a_far_too_long_step_is_cut(world: TabletopWorld) -> None:
    world.reset(0)
    before = world.teleport(SPOT)
    world.step(_action(dz=1.0))
    world.advance(0.3)
    assert world.state.ee.position[2] - before.ee.position[2] == pytest.approx(0.03, abs=1e-3)


@pytest.mark.parametrize('bad', [np.zeros(7), np.full(8, np.nan), np.zeros((1, 8))])
def test_a_bad_action_is_refused_and_changes_nothing(
    world: TabletopWorld, bad: np.ndarray
) -> None:
    before = world.reset(0)
    with pytest.raises(ActionError, match='expected an action of 8 finite numbers'):
        world.step(bad)
    assert np.array_equal(world.state.ee.position, before.ee.position)


@pytest.mark.parametrize('place', [(0.3, -0.25, 0.03), (0.65, 0.28, 0.3), (0.45, 0.0, 0.1)])
def test_teleport_arrives_at_rest(world: TabletopWorld, place: tuple[float, ...]) -> None:
    world.reset(0)
    for _ in range(3):
        world.step(np.array([0, 0.03, -0.03, 0.02, 0, 0, 0.1, 0.0]))
    state = world.teleport(place, yaw_rad=0.3, opening=0.5)
    assert not world.data.qvel.any()
    assert state.ee.position == pytest.approx(place, abs=1e-4)
    assert state.ee.yaw_rad == pytest.approx(0.3, abs=1e-3)
    assert state.gripper_opening == pytest.approx(0.5)
    world.advance(0.5)
    assert world.state.ee.position == pytest.approx(place, abs=1e-3)


def test_teleport_into_a_block_is_a_collision(world: TabletopWorld) -> None:
    red = world.reset(0).objects['red'].position
    world.teleport(red, opening=0.0)
    assert world.colliding
    world.teleport(red, yaw_rad=world.state.objects['red'].yaw_rad, opening=1.0)
    assert not world.colliding


def test_only_blocks_can_be_held(world: TabletopWorld) -> None:
    world.reset(0)
    with pytest.raises(ParameterError, match="cannot hold 'disc'; blocks: red, green"):
        world.teleport(SPOT, holding='disc')


def test_peak_heights_remember_a_lift(world: TabletopWorld) -> None:
    world.reset(0)
    world.teleport((0.45, 0.0, 0.06), holding='red')
    for _ in range(10):
        world.step(_action(opening=1.0))
    state = world.state
    assert state.objects['red'].position[2] < 0.05
    assert state.peak_heights_m['red'] > 0.055
    assert state.peak_heights_m['green'] == pytest.approx(BLOCK_HALF_M, abs=1e-3)


@pytest.mark.parametrize(
    ('stopped', 'least_m', 'most_m'), [(False, 0.026, 0.034), (True, 0, 0.02)]
)
def test_an_action_without_motion_stops_the_one_before(world, stopped, least_m, most_m):
    """A stop once stretched the rest of the step before it over another 50 ms."""
    before = world.reset(1).ee.position[2]
    world.apply(_action(dz=0.03))
    world.advance(STEP_SEC / 5)
    if stopped:
        world.apply(_action())
    world.advance(0.5)
    assert least_m <= world.state.ee.position[2] - before <= most_m
