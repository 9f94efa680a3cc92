"""Backends are found by name and refuse what they do not know."""

import json

import pytest
import torch

from sara_ros.attention import backend_class, backend_names, create
from sara_ros.core import ParameterError

NAMES = (
    'softmax', 'sara', 'taylor', 'performer', 'hedgehog', 'window+linear', 'uniform', 'auto',
)  # fmt: skip


def test_known_names():
    """Each name leads to the class of that name."""
    assert backend_names() == NAMES
    for name in backend_names():
        assert backend_class(name).name == name


@pytest.mark.parametrize('form', ['offset', 'read'])
def test_names_of_a_form(form):
    """A window of neighbours is the one thing that needs an order of tokens."""
    assert set(NAMES) - set(backend_names(form)) == {'window+linear'}


def test_every_backend_is_causal():
    """Each has the form that language models need."""
    assert backend_names('causal') == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_default_options(name):
    """Each backend works as it comes, the same in every process, and says what it can do."""
    q, k, v = torch.randn(3, 2, 3, 20, 8)
    first, second = (create(name, head_dim=8, heads=3).eval() for _ in range(2))
    assert torch.equal(first(q, k, v), second(q, k, v))
    assert first.serves_any_checkpoint
    for form in ('forward', 'offset', 'causal', 'read'):
        if first.has(form):
            first.require(form)
        else:
            with pytest.raises(ParameterError, match=f"'{name[:6]}.* choose another one"):
                first.require(form)


@pytest.mark.parametrize(
    ('name', 'options', 'message'),
    [
        (
            'quick',
            {},
            "unknown attention backend 'quick'; known: softmax, sara, taylor, performer",
        ),
        (None, {}, "unknown attention backend 'None'"),
        ('softmax', {'features': 3}, "'softmax' has no option 'features'; known: none"),
        ('sara', {'speed': 3}, "no option 'speed'; known: function, features, initialisation"),
        ('sara', {'function': 'tanh'}, "function is 'tanh'; known: relu, exp, square"),
        ('sara', {'features': -1}, 'features is -1; must be at least 1, or 0 for the head size'),
        ('sara', {'features': 2.5}, 'must be a whole number'),
        ('sara', {'features': True}, 'must be a whole number'),
        ('sara', {'features': 5}, 'features is 5 but the head size 8'),
        ('sara', [('features', 5)], 'options are .* expected a mapping'),
        ('performer', {'features': -2}, "'performer': features is -2; must be at least 1, or 0"),
        ('performer', {'seed': 'a'}, "seed is 'a'; must be a whole number"),
        ('hedgehog', {'features': 1.0}, "'hedgehog': features is 1.0; must be a whole number"),
        ('taylor', {'path': 'fast'}, "path is 'fast'; known: auto, context, weights"),
        ('taylor', {'sparse_threshold': 2}, 'sparse_threshold is 2; must be a number from 0 to 1'),
        ('taylor', {'sparse_threshold': '1'}, "sparse_threshold is '1'; must be a number"),
        ('taylor', {'sparse_threshold': float('nan')}, 'sparse_threshold is nan'),
        ('taylor', {'sparse_bits': 1}, 'sparse_bits is 1; must be at least 2'),
        ('window+linear', {'window': 0}, 'window is 0; must be at least 1'),
        ('window+linear', {'linear': 'taylor'}, "linear is 'taylor'; known: sara, performer, hed"),
        ('window+linear', {'linear': ['sara']}, 'known: sara, performer'),
        ('window+linear', {'linear_options': {'m': 1}}, "'sara' has no option 'm'"),
    ],
)
def test_refused(name, options, message):
    """The message names the option and lists what is known."""
    with pytest.raises(ParameterError, match=message):
        create(name, head_dim=8, heads=2, options=options)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('size', [0, -4, 2.5, True, '8', None])
def test_sizes(name, size):
    """A head of no size, or none at all, is a mistake of the caller."""
    for sizes in ({'head_dim': size, 'heads': 2}, {'head_dim': 8, 'heads': size}):
        with pytest.raises(ParameterError, match=r"'.*': (head_dim|heads) is .*; must be a"):
            create(name, **sizes)


@pytest.mark.parametrize('name', NAMES)
def test_smallest_sizes(name):
    """One head of one number is unusual, not wrong."""
    q, k, v = torch.randn(3, 1, 1, 3, 1)
    assert create(name, head_dim=1, heads=1)(q, k, v).isfinite().all()


@pytest.mark.parametrize('name', NAMES)
def test_options_are_json(name):
    """What a checkpoint states about its backend can be written and read."""
    options = getattr(backend_class(name), 'Options', None)
    stated = {} if options is None else vars_of(options())
    create(name, head_dim=8, heads=2, options=json.loads(json.dumps(stated)))


def vars_of(options) -> dict[str, object]:
    """Return the fields of an options value."""
    return {name: getattr(options, name) for name in options.__dataclass_fields__}
