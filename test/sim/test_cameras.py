"""Tests of pictures, depth, masks and camera geometry against the scene's known shapes."""

from __future__ import annotations

import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.sim.cameras import DEPTH_RANGE_M, GRIPPER_MASK, CameraRig
from sara_ros.sim.points import depth_to_points, rotation_matrix, to_base, to_camera
from sara_ros.sim.scene import BLOCK_HALF_M, COLORS, DISC, FRONT, OBJECTS
from sara_ros.sim.world import TabletopWorld

SIZE = (240, 320)
AWAY = (0.3, 0.28, 0.3)


@pytest.fixture
def calm(world: TabletopWorld) -> TabletopWorld:
    """Return the world with the hand out of the way."""
    world.reset(3)
    world.teleport(AWAY)
    return world


def _cloud(world: TabletopWorld, rig: CameraRig, camera: str) -> tuple[np.ndarray, np.ndarray]:
    rgb, depth = rig.rgb_depth(world.data, camera, *SIZE)
    points, _ = depth_to_points(depth, rig.intrinsics(camera, *SIZE), rgb)
    shown = rig.mask(world.data, camera, *SIZE)[np.isfinite(depth)]
    return to_base(points, rig.pose(world.data, camera)), shown


@pytest.mark.parametrize('camera', ['front', 'wrist'])
def test_the_table_lies_at_height_zero(calm: TabletopWorld, rig: CameraRig, camera: str) -> None:
    points, shown = _cloud(calm, rig, camera)
    # In front of the arm's base nothing but the table has no mask; the floor is far below.
    table = points[(shown == 0) & (points[:, 0] > 0.4) & (np.abs(points[:, 2]) < 0.1)]
    assert len(table) > 2000
    assert np.percentile(np.abs(table[:, 2]), 95) < 0.0001


@pytest.mark.parametrize('camera', ['front', 'wrist'])
@pytest.mark.parametrize('color', COLORS)
def test_a_pixel_of_a_block_has_its_place(
    calm: TabletopWorld, rig: CameraRig, camera: str, color: str
) -> None:
    block = calm.state.objects[color].position
    calm.teleport(np.add(block, (-0.04, 0, 0.15)))
    top = np.add(block, (0, 0, BLOCK_HALF_M))
    pose, intrinsics = rig.pose(calm.data, camera), rig.intrinsics(camera, *SIZE)
    column, row = np.rint(intrinsics.project(to_camera(top[None], pose))[0]).astype(int)
    _, depth = rig.rgb_depth(calm.data, camera, *SIZE)
    single = np.full(SIZE, np.inf, np.float32)
    single[row, column] = depth[row, column]
    points, _ = depth_to_points(single, intrinsics)
    assert to_base(points, pose)[0] == pytest.approx(top, abs=0.003)


def test_a_block_is_seen_where_it_projects(calm: TabletopWorld, rig: CameraRig) -> None:
    mask = rig.mask(calm.data, 'front', 480, 640)
    pose, intrinsics = rig.pose(calm.data, 'front'), rig.intrinsics('front', 480, 640)
    for index, name in enumerate(OBJECTS):
        place = calm.state.objects[name].position
        expected = intrinsics.project(to_camera(place[None], pose))[0]
        rows, columns = np.nonzero(mask == index + 1)
        assert len(rows) > 300
        assert (columns.mean(), rows.mean()) == pytest.approx(expected, abs=2.0), name


def test_points_of_blocks_have_the_blocks_size(calm: TabletopWorld, rig: CameraRig) -> None:
    points, shown = _cloud(calm, rig, 'front')
    for index, color in enumerate(COLORS):
        block = points[shown == index + 1]
        assert block[:, 2].max() == pytest.approx(2 * BLOCK_HALF_M, abs=0.001)
        gap = block - calm.state.objects[color].position
        assert np.abs(gap).max() < BLOCK_HALF_M * np.sqrt(2) + 0.001


def test_colours_are_those_of_the_names(calm: TabletopWorld, rig: CameraRig) -> None:
    rgb = rig.rgb(calm.data, 'front', *SIZE).astype(float)
    mask = rig.mask(calm.data, 'front', *SIZE)
    seen = {name: rgb[mask == index + 1].mean(axis=0) for index, name in enumerate(OBJECTS)}
    assert seen['red'].argmax() == 0
    assert seen['green'].argmax() == 1
    assert seen['blue'].argmax() == 2
    assert seen['yellow'][:2].min() > 2 * seen['yellow'][2]
    assert seen[DISC][1] < seen[DISC][[0, 2]].min()


def test_colour_comes_out_the_same_with_depth(calm: TabletopWorld, rig: CameraRig) -> None:
    rgb, depth = rig.rgb_depth(calm.data, 'wrist', 64, 80)
    assert np.array_equal(rgb, rig.rgb(calm.data, 'wrist', 64, 80))
    assert rgb.shape == (64, 80, 3)
    assert rgb.dtype == np.uint8
    assert depth.shape == (64, 80)
    assert depth.dtype == np.float32


def test_both_cameras_see_the_fingers_at_work(calm: TabletopWorld, rig: CameraRig) -> None:
    calm.teleport((0.45, 0.0, 0.08))
    for camera in ('front', 'wrist'):
        share = (rig.mask(calm.data, camera, *SIZE) == GRIPPER_MASK).mean()
        assert 0.005 < share < 0.4, camera


def test_what_is_far_has_no_depth(calm: TabletopWorld, rig: CameraRig) -> None:
    _, depth = rig.rgb_depth(calm.data, 'front', *SIZE)
    assert np.isinf(depth[0, 0])
    assert depth[np.isfinite(depth)].max() < DEPTH_RANGE_M


def test_the_optical_frame_looks_along_z_with_y_down(calm: TabletopWorld, rig: CameraRig) -> None:
    pose = rig.pose(calm.data, 'front')
    right, down, forward = rotation_matrix(pose).T
    aim = np.subtract(FRONT.target, FRONT.position)
    assert pose.position == pytest.approx(FRONT.position)
    assert forward == pytest.approx(aim / np.linalg.norm(aim))
    assert down[2] < -0.5
    assert np.cross(right, down) == pytest.approx(forward)


def test_intrinsics_scale_with_the_image(rig: CameraRig) -> None:
    large, small = rig.intrinsics('front', 480, 640), rig.intrinsics('front', 120, 160)
    assert large.fx == pytest.approx(4 * small.fx)
    assert (small.cx, small.cy) == (79.5, 59.5)
    assert 2 * np.degrees(np.arctan(240 / large.fy)) == pytest.approx(FRONT.fovy_deg)


def test_an_unknown_camera_names_the_others(calm: TabletopWorld, rig: CameraRig) -> None:
    with pytest.raises(
        ParameterError, match=r"no camera 'top'; the scene has front, overview, wrist"
    ):
        rig.rgb(calm.data, 'top', *SIZE)


@pytest.mark.parametrize('size', [(0, 10), (481, 640), (480, 641)])
def test_an_impossible_size_is_refused(
    calm: TabletopWorld, rig: CameraRig, size: tuple[int, int]
) -> None:
    with pytest.raises(ParameterError, match=r'is not within 1x1 to 640x480'):
        rig.rgb(calm.data, 'front', *size)


def test_a_closed_rig_says_so(calm: TabletopWorld) -> None:
    with CameraRig(calm.model) as rig:
        rig.rgb(calm.data, 'front', 8, 8)
    with pytest.raises(RuntimeError, match='closed'):
        rig.rgb(calm.data, 'front', 8, 8)


def test_pixels_without_depth_give_no_points() -> None:
    depth = np.full((2, 3), np.inf, np.float32)
    depth[1, 2] = 0.5
    depth[0, 0] = np.nan
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    with CameraRig(TabletopWorld().model) as rig:
        intrinsics = rig.intrinsics('front', 2, 3)
    points, colors = depth_to_points(depth, intrinsics, rgb)
    assert points.shape == (1, 3)
    assert points.dtype == np.float32
    assert intrinsics.project(points)[0] == pytest.approx([2, 1], abs=1e-5)
    assert colors.tolist() == [[15, 16, 17]]
