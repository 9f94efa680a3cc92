"""Tests of the compiled model."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from sara_ros.sim.scene import (
    FINGER_JOINT,
    FRONT,
    JOINTS,
    OBJECTS,
    WRIST,
    SceneVariation,
    build_arm_model,
    build_model,
)


def test_the_arm_has_the_same_joints_alone_and_on_the_table() -> None:
    alone, scene = build_arm_model(), build_model()
    for name in (*JOINTS, FINGER_JOINT):
        assert np.array_equal(alone.joint(name).range, scene.joint(name).range)
    assert [scene.actuator(index).name for index in range(7)] == list(JOINTS)


def test_the_scene_holds_every_object_and_camera() -> None:
    model = build_model()
    names = {model.body(index).name for index in range(model.nbody)}
    assert names.issuperset(OBJECTS)
    assert [model.camera(index).name for index in range(model.ncam)][:1] == ['front']


def test_cameras_are_part_of_the_variation() -> None:
    moved = replace(FRONT, position=(1.0, 0.0, 0.5), fovy_deg=50.0)
    model = build_model(SceneVariation(cameras=(moved, WRIST)))
    assert model.ncam == 2
    assert np.allclose(model.camera('front').pos, moved.position)
    assert model.camera('front').fovy[0] == 50.0


def test_rendering_stays_cheap() -> None:
    """Shadows, reflections and multisampling would slow software rendering several times."""
    model = build_model()
    assert model.vis.quality.shadowsize == 0
    assert model.vis.quality.offsamples == 0
    assert not model.mat_reflectance.any()
    assert not model.light_castshadow.any()
    assert model.ngeom < 60


def test_nothing_touches_at_the_start() -> None:
    model = build_model()
    data = mujoco.MjData(model)
    data.qpos[:7] = (0.0, 0.17, 0.0, 2.07, 0.0, 0.9, 0.0)
    mujoco.mj_forward(model, data)
    hand = {model.body(name).id for name in ('hand', 'left_finger', 'right_finger')}
    touching = {int(body) for body in model.geom_bodyid[data.contact.geom.reshape(-1)]}
    assert touching.isdisjoint(hand)
