"""The check of numbers that several configurations have."""

from __future__ import annotations

from sara_ros.core import ParameterError


def check_counts(config: object, *names: str) -> None:
    """
    Check that the fields ``names`` of ``config`` are at least 1.

    :raises ParameterError: naming the first that is not.
    """
    for name in names:
        value = getattr(config, name)
        if value < 1:
            raise ParameterError(f'{name} is {value}; must be at least 1')


__all__ = ['check_counts']
