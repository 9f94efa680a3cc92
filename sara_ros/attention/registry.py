"""Attention backends by name, with validated options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sara_ros.attention.auto import Auto
from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.factory import build, find, table
from sara_ros.attention.hedgehog import Hedgehog
from sara_ros.attention.performer import Performer
from sara_ros.attention.sara import Sara
from sara_ros.attention.softmax import Softmax
from sara_ros.attention.taylor import Taylor
from sara_ros.attention.uniform import Uniform
from sara_ros.attention.window_linear import WindowLinear

_BACKENDS: Final[dict[str, type[AttentionBackend]]] = table(
    Softmax, Sara, Taylor, Performer, Hedgehog, WindowLinear, Uniform, Auto
)


def backend_names(form: str = 'forward') -> tuple[str, ...]:
    """Return the names that :func:`create` knows, of backends with the given form."""
    return tuple(name for name, backend in _BACKENDS.items() if backend.has(form))


def backend_class(name: str) -> type[AttentionBackend]:
    """
    Return the class called ``name``.

    :raises ParameterError: listing the known names.
    """
    return find(_BACKENDS, name)


def create(
    name: str, *, head_dim: int, heads: int, options: Mapping[str, Any] | None = None
) -> AttentionBackend:
    """
    Build the backend called ``name`` for ``heads`` heads of ``head_dim`` numbers.

    A backend takes its options as a frozen dataclass called ``Options``, which checks the values.

    :raises ParameterError: for an unknown name, option or value, listing what is known.
    """
    return build(backend_class(name), head_dim, heads, options)
