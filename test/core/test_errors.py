"""Errors in one line."""

from sara_ros.core import ObservationError, ParameterError
from sara_ros.core.errors import describe


def raised(err):
    try:
        raise err
    except Exception as caught:
        return caught


def test_ours_read_as_they_are():
    assert describe(raised(ParameterError("model 'x' not found"))) == "model 'x' not found"
    assert describe(ObservationError('late', 'too late')) == 'too late'


def test_others_tell_their_kind_and_place_in_one_line():
    text = describe(raised(ValueError("bad name:\n  'a!b'\n    ^")))
    assert text.startswith("ValueError: bad name: 'a!b' (test_errors.py:")
    assert describe(KeyError('x')) == "KeyError: 'x'"
