"""What an operator allows the robot to do: bounds, step-to-step change, workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
import math
from typing import Final

import numpy as np

from sara_ros.core.action import FloatArray
from sara_ros.core.errors import ParameterError
from sara_ros.core.spec import ActionDimension, ActionSpec

MOTION: Final = slice(1, 7)
"""Displacements of an end-effector action: neither the flag before nor the gripper after."""
TRANSLATION: Final = slice(1, 4)


@dataclass(frozen=True, slots=True)
class WorkspaceBox:
    """
    Where the end effector may be, in the frame of the action.

    :param low_m: lowest x, y, z.
    :param high_m: highest x, y, z.
    :param pose_timeout_sec: oldest pose of the robot that the box may be judged by.
    :param lag_sec: time the arm takes to carry a command out: displacements younger than this at
        the time of the pose are not in it yet.
    """

    low_m: FloatArray
    high_m: FloatArray
    pose_timeout_sec: float = 0.2
    lag_sec: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a box that is empty or not finite."""
        bounds = np.concatenate([self.low_m, self.high_m])
        if bounds.shape != (6,) or not np.isfinite(bounds).all():
            raise ParameterError(f'workspace is {bounds.tolist()}; give 6 finite numbers, m')
        if not (self.low_m < self.high_m).all():
            raise ParameterError(
                f'workspace is {bounds.tolist()}; the first three numbers, the lowest x, y, z, '
                'must be below the last three'
            )

    @classmethod
    def parse(cls, text: str, **options: float) -> WorkspaceBox | None:
        """
        Read ``x y z x y z`` of the lowest and the highest corner; ``None`` for an empty text.

        :raises ParameterError: for anything but a box.
        """
        if not text.strip():
            return None
        try:
            values = np.array([float(part) for part in text.split()], np.float32)
        except ValueError as err:
            raise ParameterError(f"workspace is '{text}': {err}; give 6 numbers, m") from err
        return cls(values[:3], values[3:], **options)


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """
    Limits of the actions that reach the robot, each array of shape ``(dimensions,)``.

    :param max_change: largest change from one command to the next; infinity for no limit.
    :param workspace: ``None`` for no box.
    """

    low: FloatArray
    high: FloatArray
    max_change: FloatArray
    workspace: WorkspaceBox | None = field(default=None)

    @classmethod
    def of(
        cls,
        spec: ActionSpec,
        *,
        entries: Iterable[str] = (),
        max_change: float = 1.0,
        workspace: WorkspaceBox | None = None,
    ) -> SafetyLimits:
        """
        Return the limits of ``spec``, tightened.

        :param entries: ``dimension low high`` or ``dimension low high max_change`` each, in the
            unit of the dimension.
        :param max_change: share of its range by which a dimension of motion may change between
            two commands; 1 for no limit. Flag and gripper may always change.
        :raises ParameterError: for an entry that cannot be read or allows more than the spec,
            and for a workspace where actions are not displacements of the end effector.
        """
        if workspace is not None and spec.kind != 'end_effector_delta':
            raise ParameterError(
                f"a workspace is set, but the model's actions are {spec.kind}: only displacements "
                'of the end effector can be kept in a box; leave the workspace empty'
            )
        bounds = {each.name: each for each in spec.dimensions}
        changes = {each.name: _change(spec, each, max_change) for each in spec.dimensions}
        for entry in entries:
            if entry.strip():
                tighter, change = _parse(entry, bounds)
                bounds[tighter.name] = tighter
                changes[tighter.name] = min(changes[tighter.name], change)
        return cls(
            low=np.array([each.low for each in bounds.values()], np.float32),
            high=np.array([each.high for each in bounds.values()], np.float32),
            max_change=np.array(list(changes.values()), np.float32),
            workspace=workspace,
        )


def _change(spec: ActionSpec, dimension: ActionDimension, share: float) -> float:
    if spec.kind == 'end_effector_delta' and dimension.name not in spec.names[MOTION]:
        return math.inf
    return share * (dimension.high - dimension.low) if share < 1 else math.inf


def _parse(entry: str, bounds: Mapping[str, ActionDimension]) -> tuple[ActionDimension, float]:
    name, *texts = entry.split()
    try:
        low, high, change = (*map(float, texts), math.inf)[:3]
    except ValueError as err:
        raise ParameterError(
            f"action_limits: '{entry}' does not read 'dimension low high [max_change]'"
        ) from err
    if name not in bounds:
        raise ParameterError(
            f"action_limits: the model has no dimension '{name}'; it has: {', '.join(bounds)}"
        )
    allowed = bounds[name]
    if not (allowed.low <= low < high <= allowed.high and change > 0 and len(texts) <= 3):
        raise ParameterError(
            f"action_limits: '{entry}' must lie within the model's range "
            f'[{allowed.low:g}, {allowed.high:g}] {allowed.unit}, with max_change above 0'
        )
    return replace(allowed, low=low, high=high), change
