"""The attention backends and their options, from the classes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from reference.tables import code, table


def backends() -> str:
    """Return the options of each attention backend."""
    from sara_ros.attention import backend_class, backend_names

    return table(
        ('Backend', 'Options and defaults'),
        (
            (code(name), _options(getattr(backend_class(name), 'Options', None)))
            for name in backend_names()
        ),
    )


def _options(options: Any) -> str:
    if options is None:
        return 'none'
    stated = options()
    return ', '.join(code(f'{each.name}={getattr(stated, each.name)}') for each in fields(options))
