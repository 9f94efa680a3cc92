"""Other sentences for the same tasks: some to train on, and others to evaluate with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from sara_ros.sim.pair_tasks import PairTask
from sara_ros.sim.tasks import TASKS, TabletopTask

Templates = Mapping[str, Sequence[str]]
"""Sentences by verb; the blocks' colours take the place of ``{color}`` and ``{other}``."""

PARAPHRASES: Final[Templates] = {
    'reach': (
        'move to the {color} block',
        'go to the {color} cube',
        'touch the {color} block',
        'bring the hand to the {color} block',
    ),
    'push': (
        'slide the {color} block to the disc',
        'shove the {color} cube onto the disc',
        'move the {color} block over to the disc',
        'push the {color} one onto the purple circle',
    ),
    'lift': (
        'pick up the {color} block',
        'raise the {color} block',
        'take the {color} cube off the table',
        'hold the {color} block up',
    ),
    'place': (
        'put the {color} block on the disc',
        'set the {color} cube down on the disc',
        'lay the {color} block onto the purple circle',
        'drop the {color} block off on the disc',
    ),
    'stack': (
        'put the {color} block on top of the {other} one',
        'set the {color} cube onto the {other} cube',
    ),
    'left': (
        'put the {color} block to the left of the {other} one',
        'the {color} cube goes left of the {other} cube',
    ),
    'right': (
        'put the {color} block to the right of the {other} one',
        'the {color} cube goes right of the {other} cube',
    ),
}
"""For evaluation; by verb of ``tasks.VERBS`` and ``pair_tasks.PAIR_VERBS``."""

LEARNED: Final[Templates] = {
    'reach': (
        'reach for the {color} cube',
        'touch the {color} one',
        'go over to the {color} block',
        'bring the gripper to the {color} cube',
        'move the hand over to the {color} one',
    ),
    'push': (
        'push the {color} cube onto the purple disc',
        'slide the {color} one over to the disc',
        'shove the {color} block to the circle',
        'move the {color} cube over to the circle',
        'slide the {color} cube onto the circle',
    ),
    'lift': (
        'lift the {color} cube up',
        'pick the {color} one up',
        'raise the {color} cube off the table',
        'take the {color} block up',
        'hold up the {color} cube',
    ),
    'place': (
        'place the {color} cube on the purple circle',
        'put the {color} one onto the disc',
        'set the {color} block on the disc',
        'lay the {color} cube down on the circle',
        'drop the {color} one on the purple disc',
    ),
}
"""For training: the words that ``PARAPHRASES`` has for these verbs, in other sentences."""


def paraphrase(
    task: TabletopTask, rng: np.random.Generator, templates: Templates = PARAPHRASES
) -> str:
    """Return one of the other sentences for ``task``."""
    texts = templates[task.verb]
    other = task.other if isinstance(task, PairTask) else ''
    return texts[int(rng.integers(len(texts)))].format(color=task.color, other=other)


def learned_sentences() -> list[tuple[str, ...]]:
    """Return for each of ``tasks.TASKS`` its instruction and the other sentences to learn."""
    return [
        (task.instruction, *(text.format(color=task.color) for text in LEARNED[task.verb]))
        for task in TASKS
    ]


def longest_paraphrase() -> int:
    """Return the most characters that a paraphrase has."""
    longest = 'yellow'
    texts = [text for each in PARAPHRASES.values() for text in each]
    return max(len(text.format(color=longest, other=longest)) for text in texts)
