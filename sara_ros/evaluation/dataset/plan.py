"""What a data set made from bags holds: cameras, state, action and frame rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sara_ros.core import (
    ActionDimension,
    ActionSpec,
    ObservationSpec,
    ParameterError,
    PolicySpec,
)
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.evaluation.dataset.cameras import camera_topics
from sara_ros.evaluation.dataset.rates import first_of, rate_of
from sara_ros.evaluation.replay.action_readers import MOTION
from sara_ros.evaluation.replay.mapping import ActionSource, ReplayMap
from sara_ros.evaluation.replay.messages import Source
from sara_ros.evaluation.replay.topic_choice import actions_of, topic_of

STATE: Final = 'joint_positions'
GAP_SEC: Final = 0.5
"""Longest time that is bridged without a picture or an action; a longer one ends the episode."""
UNRECORDED: Final = {**dict.fromkeys(END_EFFECTOR_DIMENSIONS, 0.0), 'gripper_opening': 1.0}
"""What an end effector does in the dimensions that nothing records: nothing, with open hand."""
_FAR: Final = 1e6
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    'end_effector_action': END_EFFECTOR_DIMENSIONS, 'twist': MOTION, 'pose_difference': MOTION,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """
    What the bags do not say.

    :param cameras: topics, the first of which drives; empty: the only one of the bag.
    :param fps: frames a second; 0: the rate of the first camera.
    """

    known: ReplayMap = field(default_factory=ReplayMap)
    cameras: tuple[str, ...] = ()
    fps: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What every bag of a data set is read for.

    :param spec: of a policy that would observe and do the same; ranges are open.
    :param known: the map, with the topics of the cameras.
    :param given: dimensions of the action that are recorded.
    """

    spec: PolicySpec
    known: ReplayMap
    fps: int
    given: tuple[str, ...]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, the driving one first."""
        return tuple(need.name for need in self.spec.observations if need.kind == 'image')

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the numbers of a state."""
        return self.spec.observation(STATE).names


def plan_of(source: Source, options: DatasetOptions) -> Plan:
    """
    Look at the topics of a bag and at the first of their messages.

    :raises ParameterError: naming the bag and what cannot be told from it.
    """
    topics = camera_topics(source, options.known, options.cameras)
    known = replace(options.known, topics={**options.known.topics, **topics})
    fps = options.fps or _camera_fps(source, next(iter(topics.values())))
    sources = recorded_sources(source, known)
    joints = known.joints or _joints(source, replace(known, actions=sources))
    given = tuple(dict.fromkeys(name for each in sources for name in _names(source, each)))
    age_sec = max(0.2, 6 / fps)
    needs = [
        *(ObservationSpec(name, 'image', (None, None, 3), 'rgb8', '', age_sec) for name in topics),
        ObservationSpec(STATE, STATE, (len(joints),), '', '', age_sec, joints),
    ]
    action = replace(_action(source, given, fps), frame=motion_frame(source, sources))
    spec = PolicySpec('dataset', 'rt2', tuple(needs), action)
    return Plan(spec, known, fps, given)


def recorded_sources(source: Source, known: ReplayMap, kind: str = '') -> tuple[ActionSource, ...]:
    """
    Return where the actions of a bag are: what the map says, our own ones, or joint commands.

    :param kind: of the action; empty: whichever there is.
    :raises ParameterError: when no topic can be told.
    """
    for each in (kind,) if kind else ('end_effector_delta', 'joint_positions'):
        found = actions_of(source, each, known)
        if found:
            return found
    topics = ', '.join(f'{each.name} ({each.type})' for each in source.topics) or 'none'
    raise ParameterError(
        f'{source.name}: no topic records actions, as far as names and types tell; topics: '
        f'{topics}; name one under actions in the map (--map)'
    )


def motion_frame(source: Source, actions: Sequence[ActionSource]) -> str:
    """Return the frame of recorded displacements; empty where the messages name none."""
    for each in actions:
        if each.form in _NAMES:
            header = getattr(first_of(source, each.topic), 'header', None)
            return '' if header is None else str(header.frame_id)
    return ''


def check_rate(source: Source, actions: Sequence[ActionSource], fps: int) -> None:
    """
    Refuse displacements of one step where a frame is not as long as a step.

    :raises ParameterError: naming the topic and both rates.
    """
    for each in actions:
        rate_hz = rate_of(source, each.topic) if each.form == 'end_effector_action' else 0.0
        if rate_hz and not 0.8 < rate_hz / fps < 1.25:
            raise ParameterError(
                f"{source.name}: topic '{each.topic}' records displacements of one step at "
                f'{rate_hz:.1f} Hz, but frames are taken at {fps} Hz; give --fps {round(rate_hz)}'
            )


def tolerance_sec(source: Source, actions: Sequence[ActionSource], fps: int) -> float:
    """Return half of the longest period, of frames or actions: how far apart two may be."""
    rates = [rate_of(source, each.topic) for each in actions]
    return min(max(0.5 / rate for rate in (fps, *filter(None, rates))), GAP_SEC)


def _camera_fps(source: Source, topic: str) -> int:
    rate_hz = rate_of(source, topic)
    if rate_hz < 0.5:
        raise ParameterError(
            f"{source.name}: topic '{topic}' has no rate of its own ({rate_hz:.2f} Hz); give --fps"
        )
    return round(rate_hz)


def _joints(source: Source, known: ReplayMap) -> tuple[str, ...]:
    need = ObservationSpec(STATE, STATE, (1,), names=('any',))
    action = ActionSpec(STATE, (ActionDimension('any', '', 0.0, 1.0),), '', 1.0)
    topic = topic_of(need, PolicySpec('dataset', 'rt2', (need,), action), source, known).name
    names = tuple(str(name) for name in first_of(source, topic).name)
    if not names:
        raise ParameterError(f"{source.name}: topic '{topic}' names no joint; give joints in the "
                             'map')  # fmt: skip
    return names


def _names(source: Source, action: ActionSource) -> tuple[str, ...]:
    if action.dimensions or action.form in _NAMES:
        return tuple(action.dimensions) or _NAMES[action.form]
    message = first_of(source, action.topic)
    names = message.name if action.form == 'joint_state' else message.joint_names
    return tuple(str(name) for name in names)


def _action(source: Source, given: Sequence[str], fps: int) -> ActionSpec:
    hand = [name for name in given if name in END_EFFECTOR_DIMENSIONS]
    if hand and len(hand) < len(given):
        joint = next(name for name in given if name not in hand)
        raise ParameterError(
            f"{source.name}: actions mix displacements ('{hand[0]}') and joints ('{joint}'); a "
            'data set holds either, so name one kind under actions in the map'
        )
    kind, names = ('end_effector_delta', END_EFFECTOR_DIMENSIONS) if hand else (STATE, given)
    dimensions = tuple(ActionDimension(name, '', -_FAR, _FAR) for name in names)
    if not dimensions or not 1 <= fps <= 1000:
        wrong = f'frames at {fps} Hz' if dimensions else 'actions without a single name'
        raise ParameterError(f'{source.name}: {wrong} cannot be kept; fps is 1 to 1000')
    return ActionSpec(kind, dimensions, '', float(fps))


__all__ = [
    'GAP_SEC', 'STATE', 'UNRECORDED', 'DatasetOptions', 'Plan', 'check_rate', 'motion_frame',
    'plan_of', 'recorded_sources', 'tolerance_sec',
]  # fmt: skip
