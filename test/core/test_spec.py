"""Policy specifications as values and as JSON."""

from copy import deepcopy
import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from sara_ros.core import ActionDimension, ActionSpec, ObservationSpec, PolicySpec, SpecError
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS

NAMES = st.from_regex(r'[a-z][a-z0-9_]{0,8}', fullmatch=True)
SIZES = st.one_of(st.none(), st.integers(1, 1000))
AGES = st.floats(1e-3, 1e3)


@st.composite
def observations(draw, name):
    """Return a need of any kind."""
    kind = draw(st.sampled_from(['image', 'points', 'joint_positions', 'pose', 'object_poses']))
    names = tuple(draw(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4)))
    shape = {
        'image': (draw(SIZES), draw(SIZES), 3),
        'points': (draw(SIZES), 3 + len(names)),
        'joint_positions': (len(names),),
        'pose': (7,),
        'object_poses': (len(names), 7),
    }[kind]
    unit, frame = draw(st.text(max_size=5)), draw(st.text(max_size=5))
    return ObservationSpec(name, kind, shape, unit, frame, draw(AGES), names)


@st.composite
def actions(draw):
    """Return an action of either kind."""
    kind = draw(st.sampled_from(['end_effector_delta', 'joint_positions']))
    names = END_EFFECTOR_DIMENSIONS
    if kind == 'joint_positions':
        names = draw(st.lists(st.text(max_size=8), min_size=1, max_size=9, unique=True))
    dimensions = []
    for name in names:
        low = draw(st.floats(-10, 10))
        dimensions.append(ActionDimension(name, 'rad', low, low + draw(st.floats(0.1, 5))))
    rate_hz, horizon = draw(st.floats(0.1, 1000)), draw(st.integers(1, 32))
    return ActionSpec(kind, tuple(dimensions), draw(st.text(max_size=5)), rate_hz, horizon)


@st.composite
def specs(draw):
    """Return any valid spec."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    return PolicySpec(
        model_id=draw(st.text(max_size=8)),
        kind=draw(st.sampled_from(['rt2', 'pct'])),
        observations=tuple(draw(observations(name)) for name in names),
        action=draw(actions()),
        attention={'backend': draw(st.text(max_size=5)), 'options': {'window': 3}},
        history=draw(st.integers(1, 8)),
        learned=draw(st.booleans()),
        instructions=tuple(draw(st.lists(st.text(max_size=9), max_size=3))),
    )


@given(specs())
def test_json_round_trip(spec):
    text = json.dumps(spec.to_dict(), allow_nan=False)
    assert PolicySpec.from_dict(json.loads(text)) == spec


def valid():
    """Return the JSON form of a small spec."""
    dimensions = [
        {'name': name, 'unit': 'm', 'low': -1, 'high': 1} for name in END_EFFECTOR_DIMENSIONS
    ]
    return {
        'model_id': 'm',
        'kind': 'rt2',
        'observations': [
            {'name': 'camera', 'kind': 'image', 'shape': [None, None, 3]},
            {'name': 'arm', 'kind': 'joint_positions', 'shape': [2], 'names': ['a', 'b']},
        ],
        'action': {
            'kind': 'end_effector_delta',
            'dimensions': dimensions,
            'frame': 'base_link',
            'rate_hz': 20,
        },
    }


def test_defaults():
    spec = PolicySpec.from_dict(valid())
    assert (spec.history, spec.learned, spec.instructions, spec.action.horizon) == (1, True, (), 1)
    assert spec.driver is spec.observation('camera')
    assert spec.observation('arm').max_age_sec == 0.2
    with pytest.raises(SpecError, match="'m' has no observation 'wrist'"):
        spec.observation('wrist')


def change(data, path, value):
    """Set (or, for ``...``, delete) what is at ``path``."""
    data = deepcopy(data)
    *parents, last = path
    target = data
    for key in parents:
        target = target[key]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return data


CAMERA, ARM, X = ('observations', 0), ('observations', 1), ('action', 'dimensions', 1)
BROKEN = [
    (('model_id',), ..., r"spec: 'model_id' is missing"),
    (('model_id',), 5, r'spec\.model_id: expected a string, found 5'),
    (('kind',), None, r'spec\.kind: expected a string'),
    (('observations',), {}, r'spec\.observations: expected a list'),
    (('observations',), [], r"policy 'm': needs at least one observation"),
    (('observations', 0), 'camera', r'spec\.observations\[0\]: expected an object, found str'),
    ((*ARM, 'name'), 'camera', r'observation names repeat'),
    ((*ARM, 'name'), 'an arm', r"observation 'an arm': .*use letters"),
    ((*ARM, 'name'), '', r"observation '': .*use letters"),
    ((*CAMERA, 'kind'), 'smell', r"observation 'camera': unknown kind 'smell'; known: image"),
    ((*CAMERA, 'shape'), [480, 640, '3'], r"observations\[0\]\.shape: .* found '3'"),
    ((*CAMERA, 'shape'), [480, True, 3], r'observations\[0\]\.shape: .* found True'),
    ((*CAMERA, 'shape'), [0, 640, 3], r'sizes must be at least 1'),
    ((*CAMERA, 'shape'), [480, 640], r"'camera': shape is \(480, 640\); image have 3 axes"),
    ((*CAMERA, 'max_age_sec'), 0, r"'camera': max_age_sec is 0.0; must be above 0"),
    ((*CAMERA, 'max_age_sec'), float('nan'), r'max_age_sec is nan'),
    ((*CAMERA, 'max_age_sec'), 10**400, r'max_age_sec: .* is too large'),
    ((*CAMERA, 'max_age_sec'), True, r'max_age_sec: expected a number, found True'),
    ((*ARM, 'names'), ['a'], r"'arm': shape is \(2,\) with 1 names; give one name a row"),
    ((*ARM, 'names'), ['a', 2], r'observations\[1\]\.names: expected strings, found 2'),
    (('action',), ..., r"spec: 'action' is missing"),
    (('action',), [], r'spec\.action: expected an object, found \[\]'),
    (('action', 'kind'), 'fly', r"action: unknown kind 'fly'"),
    (('action', 'dimensions'), [], r'action: dimensions of an end_effector_delta are'),
    (('action', 'kind'), 'joint_positions', None),
    ((*X, 'name'), 'y', r'action: dimensions of an end_effector_delta are'),
    ((*X, 'low'), 1, r"action dimension 'x': range \[1.0, 1.0\]"),
    ((*X, 'low'), float('nan'), r"action dimension 'x': range \[nan"),
    ((*X, 'high'), float('inf'), r"action dimension 'x': range .* must be finite"),
    ((*X, 'high'), 'far', r"spec\.action\.dimensions\[1\]\.high: .* found 'far'"),
    (('action', 'rate_hz'), 0, r'action: rate_hz is 0.0; must be in \(0, 1000\]'),
    (('action', 'rate_hz'), 1001, r'rate_hz is 1001'),
    (('action', 'horizon'), 0, r'action: horizon is 0'),
    (('action', 'horizon'), 1.5, r'spec\.action\.horizon: expected a whole number, found 1.5'),
    (('attention',), 'sara', r'spec\.attention: expected an object'),
    (('history',), 0, r'history is 0'),
    (('learned',), 'yes', r"spec\.learned: expected true or false, found 'yes'"),
    (('instructions',), 'reach', r'spec\.instructions: expected a list of strings'),
]


@pytest.mark.parametrize(('path', 'value', 'message'), BROKEN)
def test_what_is_wrong_is_named(path, value, message):
    data = change(valid(), path, value)
    if message is None:
        PolicySpec.from_dict(data)
        return
    with pytest.raises(SpecError, match=message):
        PolicySpec.from_dict(data)


def test_repeated_joints_are_refused():
    """A trajectory with a joint twice is one that controllers reject."""
    joint = ActionDimension('j', 'rad', -1, 1)
    with pytest.raises(SpecError, match='dimension names repeat'):
        ActionSpec('joint_positions', (joint, joint), '', 20.0)
    with pytest.raises(SpecError, match='has no dimensions'):
        ActionSpec('joint_positions', (), '', 20.0)


@pytest.mark.parametrize('data', [None, [], 'spec', 3])
def test_anything_but_an_object_is_refused(data):
    with pytest.raises(SpecError, match=r'policy\.json: expected an object'):
        PolicySpec.from_dict(data, place='policy.json')
