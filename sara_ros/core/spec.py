"""What a policy needs and returns, as values that read from and write to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
import math
from typing import Any, Final

import numpy as np

from sara_ros.core.action import FloatArray
from sara_ros.core.errors import SpecError
from sara_ros.core.json_fields import Fields

OBSERVATION_KINDS: Final = ('image', 'points', 'joint_positions', 'pose', 'object_poses')
_AXES: Final = {'image': 3, 'points': 2, 'joint_positions': 1, 'pose': 1, 'object_poses': 2}
ACTION_KINDS: Final = ('end_effector_delta', 'joint_positions')
END_EFFECTOR_DIMENSIONS: Final = (
    'terminate', 'x', 'y', 'z', 'rx', 'ry', 'rz', 'gripper_opening',
)  # fmt: skip
"""Order of an end-effector action: flag, translation, rotation vector, opening (1 is open)."""


@dataclass(frozen=True, slots=True)
class ObservationSpec:
    """
    One sensor value a policy needs.

    :param name: the key in :class:`Observation`, and the parameter under ``topics``.
    :param kind: one of ``OBSERVATION_KINDS``.
    :param shape: expected shape; ``None`` where any size will do (images are resized).
    :param unit: ``rgb8`` for images, else an SI unit.
    :param frame: frame the value must be in; empty when it has none.
    :param max_age_sec: oldest acceptable value, counted from the driving sensor's stamp.
    :param names: joints, objects, or point fields after ``x y z``, in the order of the value.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    unit: str = ''
    frame: str = ''
    max_age_sec: float = 0.2
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the name, the kind, the age limit and the shape."""
        where = f"observation '{self.name}'"
        if not self.name.isidentifier():
            raise SpecError(
                f'{where}: a parameter and a topic are named so; use letters, digits, _'
            )
        if self.kind not in OBSERVATION_KINDS:
            raise SpecError(
                f"{where}: unknown kind '{self.kind}'; known: {', '.join(OBSERVATION_KINDS)}"
            )
        if not self.max_age_sec > 0:
            raise SpecError(f'{where}: max_age_sec is {self.max_age_sec}; must be above 0')
        if any(size is not None and size < 1 for size in self.shape):
            raise SpecError(f'{where}: shape is {self.shape}; sizes must be at least 1 or null')
        if len(self.shape) != _AXES[self.kind]:
            raise SpecError(
                f'{where}: shape is {self.shape}; {self.kind} have {_AXES[self.kind]} axes'
            )
        if self.kind in ('joint_positions', 'object_poses') and self.shape[0] != len(self.names):
            raise SpecError(
                f'{where}: shape is {self.shape} with {len(self.names)} names; give one name a row'
            )

    @classmethod
    def from_fields(cls, fields: Fields) -> ObservationSpec:
        """Read the JSON form; see :meth:`PolicySpec.from_dict`."""
        return cls(
            name=fields.text('name'),
            kind=fields.text('kind'),
            shape=fields.sizes('shape'),
            unit=fields.text('unit', ''),
            frame=fields.text('frame', ''),
            max_age_sec=fields.number('max_age_sec', 0.2),
            names=fields.texts('names', ()),
        )


@dataclass(frozen=True, slots=True)
class ActionDimension:
    """One number of an action, with its unit and the range a policy may use."""

    name: str
    unit: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Check that the range is finite and not empty."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise SpecError(
                f"action dimension '{self.name}': range [{self.low}, {self.high}] must be "
                'finite with low below high'
            )

    @classmethod
    def from_fields(cls, fields: Fields) -> ActionDimension:
        """Read the JSON form."""
        return cls(
            name=fields.text('name'),
            unit=fields.text('unit'),
            low=fields.number('low'),
            high=fields.number('high'),
        )


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """
    The actions a policy returns.

    :param kind: ``end_effector_delta`` (displacement per step, dimensions as in
        ``END_EFFECTOR_DIMENSIONS``) or ``joint_positions`` (absolute, one dimension a joint).
    :param frame: frame of an end-effector delta.
    :param rate_hz: steps per second.
    :param horizon: steps per chunk.
    """

    kind: str
    dimensions: tuple[ActionDimension, ...]
    frame: str
    rate_hz: float
    horizon: int = 1

    def __post_init__(self) -> None:
        """Check the kind, its dimensions, the rate and the horizon."""
        if self.kind not in ACTION_KINDS:
            raise SpecError(
                f"action: unknown kind '{self.kind}'; known: {', '.join(ACTION_KINDS)}"
            )
        if self.kind == 'end_effector_delta' and self.names != END_EFFECTOR_DIMENSIONS:
            raise SpecError(
                f'action: dimensions of an end_effector_delta are {END_EFFECTOR_DIMENSIONS}, '
                f'not {self.names}'
            )
        if not self.dimensions:
            raise SpecError('action: has no dimensions')
        if len(set(self.names)) != len(self.names):
            raise SpecError(f'action: dimension names repeat: {self.names}')
        if not 0 < self.rate_hz <= 1000:
            raise SpecError(f'action: rate_hz is {self.rate_hz}; must be in (0, 1000]')
        if self.horizon < 1:
            raise SpecError(f'action: horizon is {self.horizon}; must be at least 1')

    @property
    def names(self) -> tuple[str, ...]:
        """Dimension names in the order of the action."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def low(self) -> FloatArray:
        """Lower bounds, shape ``(dimensions,)``."""
        return np.array([dimension.low for dimension in self.dimensions], np.float32)

    @property
    def high(self) -> FloatArray:
        """Upper bounds, shape ``(dimensions,)``."""
        return np.array([dimension.high for dimension in self.dimensions], np.float32)

    def terminates(self, values: FloatArray) -> bool:
        """Tell whether an action of this spec, shape ``(dimensions,)``, asks to end the run."""
        return 'terminate' in self.names and bool(values[self.names.index('terminate')] > 0.5)

    def hold(self, last: FloatArray) -> FloatArray:
        """Return the action that keeps still after ``last``: no displacement, same gripper."""
        if self.kind == 'joint_positions':
            return last
        still = np.zeros_like(last)
        still[-1] = last[-1]
        return still

    @classmethod
    def from_fields(cls, fields: Fields) -> ActionSpec:
        """Read the JSON form."""
        return cls(
            kind=fields.text('kind'),
            dimensions=tuple(
                ActionDimension.from_fields(item) for item in fields.items('dimensions')
            ),
            frame=fields.text('frame'),
            rate_hz=fields.number('rate_hz'),
            horizon=fields.integer('horizon', 1),
        )


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """
    Everything the graph must know to serve a policy; nothing about a model is written twice.

    :param model_id: name of the model folder, or of the built-in policy.
    :param kind: ``rt2``, ``pct`` or ``scripted_expert``.
    :param observations: needs; the first one drives the policy, the others are matched to it.
    :param action: what it returns.
    :param attention: attention backend name and options, as ``{'backend': ..., ...}``.
    :param history: frames of the driving sensor the policy remembers.
    :param learned: whether its behaviour comes from training.
    :param instructions: instructions it was trained on; empty when any text will do.
    """

    model_id: str
    kind: str
    observations: tuple[ObservationSpec, ...]
    action: ActionSpec
    attention: Mapping[str, Any] = field(default_factory=dict)
    history: int = 1
    learned: bool = True
    instructions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something to see and that names are unique."""
        names = [need.name for need in self.observations]
        if not names:
            raise SpecError(f"policy '{self.model_id}': needs at least one observation")
        if len(set(names)) != len(names):
            raise SpecError(f"policy '{self.model_id}': observation names repeat: {names}")
        if self.history < 1:
            raise SpecError(f"policy '{self.model_id}': history is {self.history}; at least 1")

    @property
    def driver(self) -> ObservationSpec:
        """The observation whose arrival starts an inference."""
        return self.observations[0]

    def observation(self, name: str) -> ObservationSpec:
        """
        Return the need called ``name``.

        :raises SpecError: when there is none.
        """
        for need in self.observations:
            if need.name == name:
                return need
        raise SpecError(f"policy '{self.model_id}' has no observation '{name}'")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, place: str = 'spec') -> PolicySpec:
        """
        Read the JSON form.

        :param place: where the data came from, for error messages.
        :raises SpecError: naming the field that is missing or wrong.
        """
        fields = Fields(data, place)
        return cls(
            model_id=fields.text('model_id'),
            kind=fields.text('kind'),
            observations=tuple(
                ObservationSpec.from_fields(item) for item in fields.items('observations')
            ),
            action=ActionSpec.from_fields(fields.child('action')),
            attention=fields.mapping('attention', {}),
            history=fields.integer('history', 1),
            learned=fields.flag('learned', True),
            instructions=fields.texts('instructions', ()),
        )
