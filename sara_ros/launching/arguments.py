"""Launch arguments, and the values that their texts stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sara_ros.core import ParameterError

LEVELS: Final = ('debug', 'info', 'warn', 'error', 'fatal')

# What turns the text of an argument into a value; ValueError says what to give instead.


def switch(text: str) -> bool:
    """Return what true or false stands for."""
    known = {'true': True, 'false': False}
    if text.lower() not in known:
        raise ValueError('choose true or false')
    return known[text.lower()]


def level(text: str) -> str:
    """Return a log level as rcl reads it."""
    if text.split(':=')[-1].lower() not in LEVELS:
        raise ValueError(f'choose one of {", ".join(LEVELS)}, or LOGGER:=LEVEL')
    return text


def path(text: str) -> str:
    """Return a path, with the home folder for a tilde."""
    return str(Path(text).expanduser())


def file(text: str) -> str:
    """Return the path of a file that is there."""
    if not Path(path(text)).is_file():
        raise ValueError('there is no such file')
    return path(text)


def whole(text: str) -> int:
    """Return a whole number."""
    try:
        return int(text)
    except ValueError:
        raise ValueError('give a whole number') from None


@dataclass(frozen=True, slots=True)
class Argument:
    """
    A launch argument, as ``ros2 launch --show-args`` tells of it.

    :param default: None where it has to be given.
    :param read: turns its text into the value of a parameter; raises ValueError saying what to
        give instead.
    """

    name: str
    default: str | None
    description: str
    read: Callable[[str], Any] = str

    def value(self, text: str) -> Any:
        """
        Return the value that ``text`` stands for; None for an empty text.

        :raises ParameterError: naming the argument and what it may be.
        """
        if not text:
            return None
        try:
            return self.read(text)
        except ValueError as err:
            raise ParameterError(f'launch argument {self.name}:={text}: {err}') from err


USUAL: Final = (
    Argument('params_file', '', 'Parameters of all nodes, over those of config/; empty: none.',
             file),
    Argument('namespace', '', 'Namespace of all nodes and their topics; empty: none.'),
    Argument('use_sim_time', 'false', 'Take the time from /clock.', switch),
    Argument('autostart', 'true', 'Configure and activate without a lifecycle manager.', switch),
    Argument('log_level', 'info', f'{", ".join(LEVELS)}, or LOGGER:=LEVEL for one logger.',
             level),
)  # fmt: skip
"""Arguments of every launch file."""
