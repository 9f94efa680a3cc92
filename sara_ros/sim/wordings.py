"""Other words for the same tasks, none of which a shipped policy was trained on."""

from __future__ import annotations

from typing import Final

import numpy as np

from sara_ros.sim.pair_tasks import PairTask
from sara_ros.sim.tasks import TabletopTask

PARAPHRASES: Final = {
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
"""By verb of ``tasks.VERBS`` and ``pair_tasks.PAIR_VERBS``."""


def paraphrase(task: TabletopTask, rng: np.random.Generator) -> str:
    """Return one of the other wordings of ``task``."""
    wordings = PARAPHRASES[task.verb]
    other = task.other if isinstance(task, PairTask) else ''
    return wordings[rng.integers(len(wordings))].format(color=task.color, other=other)


def longest_paraphrase() -> int:
    """Return the most characters that a paraphrase has."""
    longest = 'yellow'
    texts = [text for wordings in PARAPHRASES.values() for text in wordings]
    return max(len(text.format(color=longest, other=longest)) for text in texts)
