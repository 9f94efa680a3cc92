"""Backends, inputs and references that the tests of this room share."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sara_ros.attention import AttentionBackend, create, naive, naive_maps
from sara_ros.attention.hedgehog import Hedgehog
from sara_ros.attention.linear_map import LinearMap
from sara_ros.attention.performer import Performer
from sara_ros.attention.sara import Sara
from sara_ros.attention.window_linear import WindowLinear

SHAPES = [(1, 1, 1, 4), (2, 3, 17, 8), (1, 2, 64, 16), (2, 1, 130, 32)]
SARA = [
    ('sara', {'function': function, 'features': features, 'initialisation': 'random'})
    for function in ('relu', 'exp', 'square')
    for features in (0, 5)
]
MAPS = [('sara', {}), *SARA, ('performer', {}), ('performer', {'features': 5, 'seed': 3})]
MAPS += [('hedgehog', {}), ('hedgehog', {'features': 5})]
PLAIN = [('softmax', {}), ('taylor', {}), ('uniform', {})]
TAYLOR_PATHS = [('taylor', {'path': 'context'}), ('taylor', {'path': 'weights'})]
WINDOW = [
    ('window+linear', {'window': window, 'linear': name, 'linear_options': options})
    for window, (name, options) in zip(
        (1, 2, 7, 64, 3, 5), (MAPS[0], *SARA[:3], *MAPS[-3:-1]), strict=True
    )
]
CASES = [*PLAIN, *TAYLOR_PATHS, *MAPS]


def inputs(shape: tuple[int, int, int, int], *, queries: int | None = None) -> list[Tensor]:
    """Return q, k, v that want gradients, from a seed that depends on the shape."""
    generator = torch.Generator().manual_seed(sum(shape))
    batch, heads, tokens, dim = shape
    sizes = [queries or tokens, tokens, tokens]
    return [
        torch.randn(batch, heads, size, dim, generator=generator, requires_grad=True)
        for size in sizes
    ]


def backend(name: str, options: dict[str, object], shape: tuple[int, ...]) -> AttentionBackend:
    """Build a backend, with learned parts that are not what they start from."""
    torch.manual_seed(1)
    made = create(name, head_dim=shape[3], heads=shape[1], options=options)
    for name, parameter in made.named_parameters():
        if name.endswith('scale'):
            torch.nn.init.uniform_(parameter, 0.5, 2.0)
        else:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval()


def maps(made: LinearMap) -> dict[str, object]:
    """Return the readable feature maps of a linear backend."""
    if isinstance(made, Sara):
        return {
            f'phi_{side}': partial(
                naive_maps.sara, matrix=getattr(made, f'{side}_map'),
                scale=getattr(made, f'{side}_scale'), function=made.function,
            )
            for side in 'qk'
        }  # fmt: skip
    if isinstance(made, Performer):
        phi = partial(naive_maps.performer, projection=made.projection)
        return {'phi_q': phi, 'phi_k': phi}
    assert isinstance(made, Hedgehog)
    return {
        'phi_q': partial(naive_maps.hedgehog, matrix=made.q_map),
        'phi_k': partial(naive_maps.hedgehog, matrix=made.k_map),
    }


def reference(made: AttentionBackend, form: str = ''):
    """Return the naive function of a backend's form: '', '_offset' or '_causal'."""
    if isinstance(made, WindowLinear):
        factor = made.log_factor.exp()
        joint = getattr(naive, 'joint_window' + form)
        return partial(joint, window=made.window, factor=factor, **maps(made.linear))
    if isinstance(made, Performer) and form == '_offset':
        phi = partial(naive_maps.softmax_kernel, projection=made.projection)
        return partial(naive.feature_map_offset, phi_q=phi, phi_k=phi, epsilon=0.0)
    if isinstance(made, LinearMap):
        positive = isinstance(made, Performer | Hedgehog) or getattr(made, 'function', '') == 'exp'
        spare = 0.0 if positive else naive.EPSILON
        return partial(getattr(naive, 'feature_map' + form), **maps(made), epsilon=spare)
    return getattr(naive, made.name + form)


def assert_same(result: Tensor, expected: Tensor, leaves: list[Tensor]) -> None:
    """Compare outputs, then the gradients of a fixed linear function of them."""
    torch.testing.assert_close(result, expected, rtol=2e-4, atol=2e-5)
    weight = torch.randn(result.shape, generator=torch.Generator().manual_seed(0))
    ours = torch.autograd.grad((result * weight).sum(), leaves, allow_unused=True)
    theirs = torch.autograd.grad((expected * weight).sum(), leaves, allow_unused=True)
    for mine, other, leaf in zip(ours, theirs, leaves, strict=True):
        zero = torch.zeros_like(leaf)
        mine, other = (zero if grad is None else grad for grad in (mine, other))
        scale = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(mine / scale, other / scale, rtol=1e-3, atol=1e-4)


def padding(shape: tuple[int, ...]) -> Tensor:
    """Return a mask ``(B, N)`` that keeps other tokens in each row, the first one always."""
    generator = torch.Generator().manual_seed(7)
    mask = torch.rand(shape[0], shape[2], generator=generator) < 0.6
    mask[:, 0] = True
    return mask
