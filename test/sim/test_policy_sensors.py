"""A policy is played on the tabletop only when its spec is of what the tabletop has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from policies import small_models
import pytest

from sara_ros.core import ObservationSpec, ParameterError, PolicySpec
from sara_ros.policies.checkpoint import list_models
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.expert import ScriptedExpert
from sara_ros.sim.policy_sensors import Sensors, check_fit
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.recipes import VARIANTS, recipe_config
from sara_ros.training.tabletop import TabletopConfig, spec_of

MODELS = Path(__file__).parents[2] / 'models'


def with_need(kind: str, name: str, /, **changes: Any) -> PolicySpec:
    """Return the spec of a toy model, one of whose observations is changed."""
    spec = small_models.spec(kind)
    needs = tuple(
        replace(need, **changes) if need.name == name else need for need in spec.observations
    )
    return replace(spec, observations=needs)


def with_action(**changes: Any) -> PolicySpec:
    """Return the spec of a toy model whose ``x`` is changed; ``frame`` is the whole action's."""
    spec = small_models.spec('rt2')
    action = replace(spec.action, frame=changes.pop('frame', spec.action.frame))
    dimensions = list(action.dimensions)
    dimensions[1] = replace(dimensions[1], **changes)
    return replace(spec, action=replace(action, dimensions=tuple(dimensions)))


FITTING = [
    small_models.spec('rt2', horizon=4),
    small_models.spec('pct'),
    ScriptedExpert().spec,
    with_need('rt2', 'front', shape=(480, 640, 3), frame='front_camera_optical_frame'),
    with_need('rt2', 'ee_pose', unit='', frame=''),
    with_action(low=-0.01, high=0.01, unit=''),
]
REFUSED = [
    (with_need('pct', 'points', frame='camera_link'), r"'points' has frame 'camera_link'"),
    (with_need('pct', 'points', shape=(None, 3), names=()), r'shape \(None, 3\).*\(None, 6\)'),
    (with_need('pct', 'points', names=('intensity', 'ring', 'time')), r"names \('intensity'"),
    (with_need('pct', 'points', unit='mm'), "'points' has unit 'mm', the tabletop's 'm'"),
    (with_need('rt2', 'ee_pose', frame='world'), "frame 'world', the tabletop's 'base_link'"),
    (with_need('rt2', 'ee_pose', shape=(6,)), r"shape \(6,\), the tabletop's \(7,\)"),
    (with_need('rt2', 'ee_pose', unit='mm'), "'ee_pose' has unit 'mm'"),
    (with_need('rt2', 'finger_joint', unit='rad'), "'finger_joint' has unit 'rad'"),
    (with_need('rt2', 'front', unit='bgr8'), "'front' has unit 'bgr8', the tabletop's 'rgb8'"),
    (with_need('rt2', 'front', shape=(240, 320, 3)), r"the tabletop's \(480, 640, 3\)"),
    (with_need('rt2', 'front', name='left'), r"needs 'left' \(image\), which the tabletop does"),
    (with_action(frame='tool0'), "action has frame 'tool0', the tabletop's 'base_link'"),
    (with_action(low=-3.0, high=3.0), r"'x' has range \[-3, 3\].*tabletop's \[-0.03, 0.03\]"),
    (with_action(unit='mm'), "action dimension 'x' has unit 'mm', the tabletop's 'm'"),
]


@pytest.mark.parametrize(('spec', 'message'), REFUSED, ids=[message for _, message in REFUSED])
def test_what_the_tabletop_has_otherwise_is_refused(spec: PolicySpec, message: str) -> None:
    """All of them were played, with values in another frame, unit, shape or order."""
    with pytest.raises(ParameterError, match=message) as refused:
        check_fit(spec)
    assert "model 'tiny' " in str(refused.value)


@pytest.mark.parametrize('spec', FITTING, ids=[str(index) for index in range(len(FITTING))])
def test_what_fits_is_drawn_as_it_is_declared(
    spec: PolicySpec, world: TabletopWorld, rig: CameraRig
) -> None:
    world.reset(0)
    check_fit(spec)
    seen = Sensors(world, rig, spec).observe('any')
    for need in spec.observations:
        found = seen.values[need.name].shape
        assert all(size in (None, drawn) for size, drawn in zip(need.shape, found, strict=True))


def test_shipped_models_and_recipes_fit() -> None:
    """Only the model of another robot does not."""
    refused = []
    for entry in list_models(MODELS):
        assert entry.stored is not None
        try:
            check_fit(entry.stored.checkpoint.spec)
        except ParameterError:
            refused.append(entry.model_id)
    assert refused == ['rt2-g1']
    for name in VARIANTS:
        config = recipe_config(name, model_id=name, models_dir=MODELS, work=Path())
        assert isinstance(config, TabletopConfig)
        check_fit(spec_of(config))


def test_all_differences_are_named() -> None:
    joints = ObservationSpec('arm', 'joint_positions', (1,), 'deg', names=('joint_1',))
    spec = with_action(unit='mm')
    with pytest.raises(ParameterError, match=r"'arm' has unit 'deg'.*'rad'; .*'mm'"):
        check_fit(replace(spec, observations=(*spec.observations, joints)))
