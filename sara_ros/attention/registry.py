"""Attention backends by name, with validated options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.sara import Sara
from sara_ros.attention.softmax import Softmax
from sara_ros.attention.taylor import Taylor
from sara_ros.attention.uniform import Uniform
from sara_ros.core import ParameterError

_BACKENDS: Final[dict[str, type[AttentionBackend]]] = {
    backend.name: backend for backend in (Softmax, Sara, Taylor, Uniform)
}


def backend_names() -> tuple[str, ...]:
    """Return the names that :func:`create` knows."""
    return tuple(_BACKENDS)


def backend_class(name: str) -> type[AttentionBackend]:
    """
    Return the class called ``name``.

    :raises ParameterError: listing the known names.
    """
    try:
        return _BACKENDS[name]
    except KeyError:
        known = ', '.join(_BACKENDS)
        raise ParameterError(f"unknown attention backend '{name}'; known: {known}") from None


def create(
    name: str, *, head_dim: int, heads: int, options: Mapping[str, Any] | None = None
) -> AttentionBackend:
    """
    Build the backend called ``name`` for ``heads`` heads of ``head_dim`` numbers.

    A backend takes its options as a frozen dataclass called ``Options``, which checks the values.

    :raises ParameterError: for an unknown name, option or value, listing what is known.
    """
    backend = backend_class(name)
    if head_dim < 1 or heads < 1:
        raise ParameterError(
            f"attention backend '{name}': head_dim is {head_dim} and heads {heads}; "
            'both must be at least 1'
        )
    options_class: Any = getattr(backend, 'Options', None)
    known = [field.name for field in fields(options_class)] if options_class else []
    unknown = sorted(set(options or {}) - set(known))
    if unknown:
        raise ParameterError(
            f"attention backend '{name}' has no option '{unknown[0]}'; "
            f'known: {", ".join(known) or "none"}'
        )
    if options_class is None:
        return backend()
    return backend(head_dim=head_dim, heads=heads, options=options_class(**(options or {})))
