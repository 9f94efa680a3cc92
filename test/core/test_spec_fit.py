"""Which models may take the place of another one; every difference is named."""

from dataclasses import replace

from core.fakes import ARM, CAMERA, policy_spec
import pytest

from sara_ros.core import SpecError
from sara_ros.core.spec_fit import require_fit

SERVING = policy_spec(CAMERA, ARM)
ACTION = SERVING.action


def with_dimension(**changes):
    x = replace(ACTION.dimensions[1], **changes)
    return replace(ACTION, dimensions=(ACTION.dimensions[0], x, *ACTION.dimensions[2:]))


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'model_id': 'other', 'kind': 'pct', 'attention': {'backend': 'sara'}},
        {'observations': (CAMERA,)},
        {'observations': (CAMERA, replace(ARM, max_age_sec=0.2))},
        {'action': replace(ACTION, horizon=8)},
        {'action': with_dimension(low=-0.05, high=0.05)},
    ],
    ids=['same', 'other kind', 'fewer needs', 'older values', 'longer chunks', 'smaller range'],
)
def test_what_needs_no_change_of_the_graph_fits(changes):
    require_fit(SERVING, replace(SERVING, **changes))


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'action': replace(ACTION, rate_hz=30.0)}, 'action rate_hz is 30.0, not 50.0'),
        ({'action': replace(ACTION, frame='tool')}, 'action frame is tool, not base_link'),
        ({'action': with_dimension(unit='rad')}, "'x' is in 'rad', not 'm'"),
        ({'action': with_dimension(high=0.2)}, r"'x' has the range \[-0.1, 0.2\], .*-0.1, 0.1"),
        ({'observations': (CAMERA, replace(ARM, name='leg'))}, "needs the observation 'leg'"),
        ({'observations': (ARM, CAMERA)}, "driven by the observation 'arm', not 'camera'"),
        (
            {'observations': (replace(CAMERA, unit='bgr8'),)},
            "'camera' has unit 'bgr8', not 'rgb8'",
        ),
        (
            {'observations': (CAMERA, replace(ARM, names=('b', 'a')))},
            r"'arm' has names \('b', 'a'\), not \('a', 'b'\)",
        ),
        (
            {'observations': (replace(CAMERA, max_age_sec=0.1),)},
            "'camera' may be 0.1 s old at most, but is handed out up to 0.5 s old",
        ),
    ],
)
def test_differences_are_named(changes, text):
    with pytest.raises(SpecError, match=text):
        require_fit(SERVING, replace(SERVING, model_id='other', **changes))


def test_all_differences_are_named_at_once():
    action = replace(with_dimension(unit='rad'), rate_hz=30.0)
    with pytest.raises(SpecError, match=r"'other' cannot take .* 'fake': .*rate_hz.*; .*'rad'"):
        require_fit(SERVING, replace(SERVING, model_id='other', action=action))
