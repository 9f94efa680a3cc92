"""What the actions of a recording are: joint targets, hand displacements, or other numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np

from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.training.lerobot import Episode, Floats

STATE: Final = 'joint_positions'
_HAND_UNITS: Final = ('', 'm', 'm', 'm', 'rad', 'rad', 'rad', '')
_SHARES: Final = ('terminate', 'gripper_opening')


class Targets(Protocol):
    """How actions are coded, and what copying the state means for them."""

    kind: str
    relative_to: str

    def coded(self, actions: Any, states: Any) -> Any:
        """Return what tokens say, of arrays or tensors ``(B, A)`` and ``(B, S)``."""
        ...

    def still(self, episode: Episode) -> Floats | None:
        """Return the actions that keep the robot where it is; None where no number says so."""
        ...

    def units(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the unit of each dimension, empty where the recording does not say."""
        ...

    def ranges(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Return the ranges of actions, from those that were recorded."""
        ...


class JointNumbers:
    """
    Absolute numbers, coded as they are.

    :param places: of each dimension in the state; empty where it is not there.
    """

    kind = 'joint_positions'
    relative_to = ''

    def __init__(self, places: Sequence[int] = ()) -> None:
        """Look the state up at ``places``."""
        self._places = list(places)

    def coded(self, actions: Any, states: Any) -> Any:
        """Return the actions."""
        return actions

    def still(self, episode: Episode) -> Floats | None:
        """Return the numbers of the same name in the state."""
        return episode.states[:, self._places] if self._places else None

    def units(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return no units: recordings do not state them."""
        return ('',) * len(names)

    def ranges(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Return the recorded ranges."""
        return low, high


class JointTargets(JointNumbers):
    """Targets of the joints that the state reports, coded relative to where these are."""

    relative_to = STATE

    def coded(self, actions: Any, states: Any) -> Any:
        """Return how far the targets are from the joints."""
        return actions - states

    def still(self, episode: Episode) -> Floats | None:
        """Return the state."""
        return episode.states


class HandSteps(JointNumbers):
    """Displacements of an end effector, as in ``END_EFFECTOR_DIMENSIONS``."""

    kind = 'end_effector_delta'

    def still(self, episode: Episode) -> Floats | None:
        """Return no displacement and the gripper as in the frame before."""
        still = np.zeros_like(episode.actions)
        still[1:, -1], still[0, -1] = episode.actions[:-1, -1], episode.actions[0, -1]
        return still

    def units(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return metres and radians."""
        return _HAND_UNITS

    def ranges(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Return the recorded ranges, but 0 to 1 for the flag and the opening."""
        share = np.array([name in _SHARES for name in END_EFFECTOR_DIMENSIONS])
        return np.where(share, 0.0, low), np.where(share, 1.0, high)


def targets_of(state: Sequence[str], action: Sequence[str]) -> Targets:
    """Tell from the names of the dimensions what the actions are."""
    if tuple(action) == END_EFFECTOR_DIMENSIONS:
        return HandSteps()
    if tuple(action) == tuple(state):
        return JointTargets()
    known = set(action) <= set(state)
    return JointNumbers([list(state).index(name) for name in action] if known else ())
