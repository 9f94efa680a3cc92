"""Checks of option values, worded alike for every backend."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sara_ros.core import ParameterError


def check_choice(backend: str, option: str, value: Any, known: Collection[str]) -> None:
    """
    Check that ``value`` is one of ``known``.

    :raises ParameterError: listing what is known.
    """
    if value not in list(known):
        raise refused(backend, option, value, f'known: {", ".join(known)}')


def check_whole(backend: str, option: str, value: Any, least: int, hint: str = '') -> None:
    """
    Check that ``value`` is a whole number of at least ``least``.

    :param hint: says what is allowed, in place of ``least``.
    :raises ParameterError: naming backend, option and value.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(backend, option, value, 'must be a whole number')
    if value < least:
        raise refused(backend, option, value, f'must be at least {hint or least}')


def check_features(backend: str, value: Any, default: str) -> None:
    """
    Check a number of features, of which 0 stands for ``default``.

    :raises ParameterError: naming backend and value.
    """
    check_whole(backend, 'features', value, 0, f'1, or 0 for {default}')


def check_between(backend: str, option: str, value: Any, least: float, most: float) -> None:
    """
    Check that ``value`` is a number from ``least`` to ``most``.

    :raises ParameterError: naming backend, option and value.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise refused(backend, option, value, f'must be a number from {least:g} to {most:g}')


def refused(backend: str, option: str, value: Any, advice: str) -> ParameterError:
    """Return the error about an option's value."""
    return ParameterError(f"attention backend '{backend}': {option} is {value!r}; {advice}")
