"""Which topics of a recording told a robot what to do."""

from __future__ import annotations

import re
from typing import Final

from sara_ros.core.spec import ACTION_KINDS
from sara_ros.evaluation.replay.mapping import FORMS, ReplayMap
from sara_ros.evaluation.replay.messages import Source
from sara_ros.evaluation.replay.topic_choice import actions_of

TYPES: Final = frozenset(kind for kinds in FORMS.values() for kind in kinds)
COMMANDING: Final = re.compile(
    # What follows a leader arm or a teleoperator obeys what they report.
    r'action|cmd|command|control(?!ler)|ctrl|demand|desired|equilibrium|goal|gello|leader|master'
    r'|plan(?!e)|reference|set_?point|target|teleop|trajectory|waypoint|(?<![a-z])(set|ref)(?![a-z])',
    re.IGNORECASE,
)
"""Parts of names, in whatever case."""


def commands_in(source: Source) -> list[str]:
    """
    Return the topics that hold commands, in the order of the recording.

    These are those that a replay without a map compares actions with, whatever the policy, and
    those of a type that can hold actions whose name says so. Pictures and clouds command nobody,
    whatever their name.
    """
    recorded = {
        each.topic for kind in ACTION_KINDS for each in actions_of(source, kind, ReplayMap())
    }
    return [
        each.name
        for each in source.topics
        if each.name in recorded or (each.type in TYPES and COMMANDING.search(each.name))
    ]
