"""Which topics of a recording a policy is shown, and which hold the actions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sara_ros.core import ObservationSpec, ParameterError, PolicySpec
from sara_ros.core.listing import listed
from sara_ros.decoding.observations import MESSAGE_TYPES, default_topic
from sara_ros.evaluation.replay.mapping import FORMS, ActionSource, ReplayMap
from sara_ros.evaluation.replay.messages import ACTION, Source, Topic

TEXT: Final = 'std_msgs/msg/String'
STATUS: Final = 'sara_ros_msgs/msg/PolicyStatus'
COMPRESSED: Final = '/compressed'
MOST_LISTED: Final = 20
"""Topics named in an error; a recording may have hundreds."""


def topic_of(need: ObservationSpec, spec: PolicySpec, source: Source, known: ReplayMap) -> Topic:
    """
    Return the topic of ``source`` that ``need`` is read from.

    Without an entry in the map it is the topic of the default name, in whatever namespace, or
    the only one of a fitting type that records no action and that no other need could be meant by.

    :raises ParameterError: when there is none, several, or its messages cannot be read.
    """
    types = MESSAGE_TYPES[need.kind]
    where = f"{source.name}: observation '{need.name}' ({need.kind})"
    if need.name in known.topics:
        return _usable(_named(known.topics[need.name], source, where), types, where)
    fitting = [each for each in source.topics if each.type in types]
    for choice in _choices(need, spec, fitting, known):
        if len(choice) == 1:
            return _usable(choice[0], types, where)
    among = f' among {_listed(source.topics)}' if source.topics else '; there are no topics'
    found = _listed(fitting) or f'none of type {" or ".join(types)}{among}'
    raise ParameterError(
        f'{where} cannot be told from the topics; fitting: {found}; name it with '
        f'--topic {need.name}=TOPIC or under topics in the map'
        + ''.join(f'; {note}' for note in (*source.notes, source.unread) if note)
    )


def _choices(
    need: ObservationSpec, spec: PolicySpec, fitting: Sequence[Topic], known: ReplayMap
) -> Iterator[list[Topic]]:
    """Yield what may be meant, the surest first: raw before compressed, names before types."""
    own = default_topic(need, spec)
    alike = [each for each in spec.observations if each.kind == need.kind]
    others = {default_topic(each, spec): each.name for each in alike} | {own: need.name}
    whose = {each.name: _default_of(each.name, others) for each in fitting}
    yield [each for each in fitting if each.name == f'/{own}']
    yield [each for each in fitting if each.name == f'/{own}{COMPRESSED}']
    named = [each for each in fitting if whose[each.name] == own]
    yield [each for each in named if not each.name.endswith(COMPRESSED)]
    yield named
    settled = {own, *whose.values()} | {
        topic for topic, name in others.items() if name in known.topics
    }
    if settled >= others.keys():
        taken = {absolute(each.topic) for each in known.actions}
        taken |= {absolute(topic) for name, topic in known.topics.items() if name != need.name}
        # The two of one camera are one.
        taken |= {f'{each.name}{COMPRESSED}' for each in fitting}
        yield [
            each for each in fitting if each.name not in taken and whose[each.name] in ('', own)
        ]


def _default_of(topic: str, defaults: Collection[str]) -> str:
    """Return which of ``defaults`` a topic is called after, whatever its namespace."""
    name = topic.removesuffix(COMPRESSED)
    return max((each for each in defaults if name.endswith(f'/{each}')), key=len, default='')


def _listed(topics: Sequence[Topic]) -> str:
    return listed([each.name for each in topics], MOST_LISTED)


def actions_of(source: Source, kind: str, known: ReplayMap) -> tuple[ActionSource, ...]:
    """
    Return where recorded actions come from, with every form filled in.

    Without entries in the map these are our own actions, or those of a LeRobot folder.

    :param kind: of the action, one of ``ACTION_KINDS``.
    :raises ParameterError: for a topic that is not there, cannot be read or is of another type.
    """
    if known.actions:
        return tuple(_completed(each, source) for each in known.actions)
    if source.action_kind == kind:
        return (ActionSource(ACTION, 'joint_state'),)
    own = [each for each in source.topics if each.type in FORMS['end_effector_action']]
    if kind == 'end_effector_delta' and len(own) == 1 and not own[0].problem:
        return (ActionSource(own[0].name, 'end_effector_action'),)
    if kind == 'joint_positions':
        for each in source.topics:
            if each.name == ACTION and each.type in FORMS['joint_state']:
                return (ActionSource(each.name, 'joint_state'),)
            if each.type in FORMS['joint_trajectory'] and not each.problem:
                return (ActionSource(each.name, 'joint_trajectory'),)
    return ()


def instruction_topic_of(source: Source, known: ReplayMap) -> str:
    """
    Return the topic that says what is to be done; empty where none does.

    Without an entry in the map it is the status of the only policy node in the recording, unless
    the instruction is given otherwise.

    :raises ParameterError: for a topic that is not there or cannot be read.
    """
    where = f'{source.name}: instruction_topic'
    if known.instruction_topic:
        topic = _named(known.instruction_topic, source, where)
        return _usable(topic, (TEXT, STATUS), where).name
    if known.instruction or source.instruction:
        return ''
    found = [each.name for each in source.topics if each.type == STATUS and not each.problem]
    return found[0] if len(found) == 1 else ''


def instruction_in(message: Any) -> str | None:
    """Return what a message of that topic says is to be done; None where it says nothing."""
    if hasattr(message, 'instruction'):
        return str(message.instruction).strip()
    return str(message.data).strip() or None


def absolute(topic: str) -> str:
    """Return a topic with its leading slash."""
    return topic if topic.startswith('/') else f'/{topic}'


def _completed(action: ActionSource, source: Source) -> ActionSource:
    where = f'{source.name}: actions'
    topic = _named(action.topic, source, where)
    forms = [form for form, types in FORMS.items() if topic.type in types]
    form = action.form or next(iter(forms), '')
    if not form:
        raise ParameterError(
            f"{where}: topic '{topic.name}' is of type '{topic.type}', from which no action can "
            f'be read; known: {", ".join(name for types in FORMS.values() for name in types)}'
        )
    _usable(topic, FORMS[form], where)
    return replace(action, topic=topic.name, form=form)


def _named(name: str, source: Source, where: str) -> Topic:
    for topic in source.topics:
        if topic.name in (name, absolute(name)):
            return topic
    known = _listed(source.topics) or 'none'
    raise ParameterError(f"{where}: there is no topic '{name}'; topics: {known}")


def _usable(topic: Topic, types: Sequence[str], where: str) -> Topic:
    if topic.problem:
        raise ParameterError(f"{where}: topic '{topic.name}' cannot be read: {topic.problem}")
    if topic.type not in types:
        raise ParameterError(
            f"{where}: topic '{topic.name}' is of type '{topic.type}'; needed: "
            f'{" or ".join(types)}'
        )
    return topic
