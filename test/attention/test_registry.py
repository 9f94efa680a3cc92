"""Backends are found by name and refuse what they do not know."""

import pytest
import torch

from sara_ros.attention import backend_class, backend_names, create
from sara_ros.core import ParameterError


def test_known_names():
    """Each name leads to the class of that name."""
    assert backend_names() == ('softmax', 'sara', 'taylor', 'uniform')
    for name in backend_names():
        assert backend_class(name).name == name


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        ('quick', {}, "unknown attention backend 'quick'; known: softmax, sara, taylor, uniform"),
        ('softmax', {'features': 3}, "'softmax' has no option 'features'; known: none"),
        ('sara', {'speed': 3}, "no option 'speed'; known: function, features, initialisation"),
        ('sara', {'function': 'tanh'}, "function is 'tanh'; known: relu, exp, square"),
        ('sara', {'features': -1}, 'features is -1; must be at least 1'),
        ('sara', {'features': 2.5}, 'must be a whole number'),
        ('sara', {'features': 5}, 'features is 5 but the head size 8'),
    ],
)
def test_refused(name, options, message):
    """The message lists what is known."""
    with pytest.raises(ParameterError, match=message):
        create(name, head_dim=8, heads=2, options=options)


def test_sizes_must_be_positive():
    """A head of no size is a mistake of the caller."""
    with pytest.raises(ParameterError, match='both must be at least 1'):
        create('softmax', head_dim=0, heads=2)


def test_key_mask_of_wrong_shape():
    """A mask over queries, or a float mask, is refused with what was expected."""
    x = torch.randn(2, 1, 5, 4)
    with pytest.raises(ParameterError, match=r'expected bool of shape \(2, 5\)'):
        create('taylor', head_dim=4, heads=1)(x, x, x, torch.ones(2, 4, dtype=torch.bool))
