"""Which topics of a recording are what: the small YAML file beside a bag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
import math
from pathlib import Path
from typing import Any, Final

from sara_ros.core import ParameterError, SpecError
from sara_ros.core.json_fields import Fields
from sara_ros.evaluation.replay.map_file import read_yaml

FORMS: Final = {
    'end_effector_action': ('sara_ros_msgs/msg/EndEffectorAction',),
    'twist': ('geometry_msgs/msg/TwistStamped', 'geometry_msgs/msg/Twist'),
    'pose_difference': ('geometry_msgs/msg/PoseStamped',),
    'joint_state': ('sensor_msgs/msg/JointState',),
    'joint_trajectory': ('trajectory_msgs/msg/JointTrajectory',),
}
"""How recorded actions are read, and from which message types."""
ALIGNMENTS: Final = ('nearest', 'next', 'previous')
CLOCKS: Final = ('log', 'header')
MOST_SEC: Final = 3600
JOINT_FIELDS: Final = ('position', 'velocity', 'effort')
KEYS: Final = (
    'instruction', 'instruction_topic', 'clock', 'topics', 'static_transforms', 'actions',
    'align', 'tolerance_sec', 'training_mean', 'joints',
)  # fmt: skip
ACTION_KEYS: Final = ('topic', 'form', 'dimensions', 'field', 'scale', 'offset')


@dataclass(frozen=True, slots=True)
class ActionSource:
    """
    Where some dimensions of the recorded action come from.

    :param form: one of ``FORMS``; empty: from the type of the topic.
    :param dimensions: name within the message by action dimension; empty: the same names.
    :param field: of a joint state: position, velocity or effort.
    :param scale: what is read is multiplied by this, and then ``offset`` is added.
    """

    topic: str
    form: str = ''
    dimensions: Mapping[str, str] = field(default_factory=dict)
    field: str = 'position'
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplayMap:
    """
    What a recording does not say about itself.

    :param topics: topic by the name of the observation.
    :param clock: ``log`` (messages arrive when they were recorded) or ``header`` (when they were
        stamped, for bags whose two clocks differ).
    :param align: which recorded action belongs to an instant.
    :param tolerance_sec: largest distance between the two; 0: half a command period.
    :param training_mean: mean action of the training data by dimension, for its baseline.
    :param joints: of the state of a data set made from the recording; empty: those of the first
        joint state. A replay takes those that the policy needs.
    """

    instruction: str = ''
    instruction_topic: str = ''
    clock: str = 'log'
    topics: Mapping[str, str] = field(default_factory=dict)
    static_transforms: tuple[str, ...] = ()
    actions: tuple[ActionSource, ...] = ()
    align: str = 'nearest'
    tolerance_sec: float = 0.0
    training_mean: Mapping[str, float] = field(default_factory=dict)
    joints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the words that have to be known."""
        _one_of('align', self.align, ALIGNMENTS)
        _one_of('clock', self.clock, CLOCKS)
        for each in self.actions:
            _one_of('actions.form', each.form, ('', *FORMS))
            _one_of('actions.field', each.field, JOINT_FIELDS)
            _finite(f"scale of '{each.topic}'", each.scale)
            _finite(f"offset of '{each.topic}'", each.offset)
            if each.scale == 0:
                raise ParameterError(f"scale of '{each.topic}' is 0, which leaves nothing of it")
        for name, value in self.training_mean.items():
            _finite(f'training_mean.{name}', value)
        if not 0 <= self.tolerance_sec <= MOST_SEC:
            raise ParameterError(
                f'tolerance_sec is {self.tolerance_sec}; give 0 to {MOST_SEC} seconds'
            )

    @classmethod
    def read(cls, path: Path) -> ReplayMap:
        """
        Read a YAML file.

        :raises ParameterError: naming the file and what is wrong in it.
        """
        try:
            return cls.of(read_yaml(path), path.name)
        except SpecError as err:
            raise ParameterError(str(err)) from err

    @classmethod
    def of(cls, data: Any, place: str = 'map') -> ReplayMap:
        """
        Read parsed YAML.

        :raises SpecError: naming the field that is unknown or of another type.
        """
        fields = Fields(data, place)
        _only(data, KEYS, place)
        actions = list(fields.items('actions')) if 'actions' in data else []
        for index, item in enumerate(data.get('actions', ())):
            _only(item, ACTION_KEYS, f'{place}.actions[{index}]')
        return cls(
            instruction=fields.text('instruction', ''),
            instruction_topic=fields.text('instruction_topic', ''),
            clock=fields.text('clock', 'log'),
            topics=_texts(fields, 'topics'),
            static_transforms=fields.texts('static_transforms', ()),
            actions=tuple(_action(each) for each in actions),
            align=fields.text('align', 'nearest'),
            tolerance_sec=fields.number('tolerance_sec', 0.0),
            training_mean=_numbers(fields, 'training_mean'),
            joints=fields.texts('joints', ()),
        )

    def with_topics(self, entries: Sequence[str]) -> ReplayMap:
        """
        Return a map in which ``name=topic`` entries replace its own.

        :raises ParameterError: for an entry that does not read so.
        """
        for entry in entries:
            name, sign, topic = entry.partition('=')
            if not (name and sign and topic):
                raise ParameterError(f"--topic '{entry}' does not read NAME=TOPIC")
        return replace(
            self, topics={**self.topics, **dict(each.split('=', 1) for each in entries)}
        )


def _action(fields: Fields) -> ActionSource:
    return ActionSource(
        topic=fields.text('topic'),
        form=fields.text('form', ''),
        dimensions=_texts(fields, 'dimensions'),
        field=fields.text('field', 'position'),
        scale=fields.number('scale', 1.0),
        offset=fields.number('offset', 0.0),
    )


def _texts(fields: Fields, name: str) -> dict[str, str]:
    child = fields.child(name) if fields.mapping(name, {}) else None
    return {} if child is None else {key: child.text(key) for key in fields.mapping(name)}


def _numbers(fields: Fields, name: str) -> dict[str, float]:
    child = fields.child(name) if fields.mapping(name, {}) else None
    return {} if child is None else {key: child.number(key) for key in fields.mapping(name)}


def _only(data: Any, known: Sequence[str], place: str) -> None:
    unknown = [key for key in data if key not in known] if isinstance(data, Mapping) else []
    if unknown:
        raise SpecError(f"{place}: unknown key '{unknown[0]}'; known: {', '.join(known)}")


def _finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ParameterError(f'{name} is {value}; give a finite number')


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ParameterError(f"{name} is '{value}'; known: {', '.join(filter(None, known))}")
