"""Build a backend from a table of classes; the registry's table holds all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.options import check_whole
from sara_ros.core import ParameterError

B = TypeVar('B', bound=AttentionBackend)


def table(*backends: type[B]) -> dict[str, type[B]]:
    """Return the classes by their registry names."""
    return {backend.name: backend for backend in backends}


def find(known: Mapping[str, type[B]], name: Any) -> type[B]:
    """
    Return the class called ``name``.

    :raises ParameterError: listing the known names.
    """
    if isinstance(name, str) and name in known:
        return known[name]
    raise ParameterError(f"unknown attention backend '{name}'; known: {', '.join(known)}")


def build(backend: type[B], head_dim: int, heads: int, options: Any) -> B:
    """
    Build a backend for ``heads`` heads of ``head_dim`` numbers.

    :param options: a mapping or None; the class checks the values in its ``Options``.
    :raises ParameterError: for sizes below 1, and for an option or value that is not known.
    """
    check_whole(backend.name, 'head_dim', head_dim, 1)
    check_whole(backend.name, 'heads', heads, 1)
    chosen = _checked(backend, options)
    make: Any = backend
    made: B = make() if chosen is None else make(head_dim=head_dim, heads=heads, options=chosen)
    return made


def _checked(backend: type[AttentionBackend], options: Any) -> Any:
    if not isinstance(options, Mapping | None):
        raise ParameterError(
            f"attention backend '{backend.name}': options are {options!r:.80}; expected a mapping"
        )
    options_class: Any = getattr(backend, 'Options', None)
    known = [field.name for field in fields(options_class)] if options_class else []
    unknown = sorted(set(options or {}) - set(known))
    if unknown:
        raise ParameterError(
            f"attention backend '{backend.name}' has no option '{unknown[0]}'; "
            f'known: {", ".join(known) or "none"}'
        )
    return options_class(**(options or {})) if options_class else None
