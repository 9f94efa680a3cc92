"""How closed-loop success is measured: seeds, rules, suites and thresholds, from the code."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from reference.tables import code, table

_NO_RANGES: Final = ('distractor_low_m', 'distractor_high_m', 'distractor_colors', 'templates')


def seeds() -> str:
    """Return which seeds are for what."""
    from sara_ros.evaluation.closed_loop import CHOICE_SEEDS, FIRST_SEED
    from sara_ros.training.scenes import DAGGER_SEEDS, HELD_OUT_SEEDS, TRAINING_SEEDS

    first = {
        'results': FIRST_SEED,
        'choice of checkpoints and settings, whose results are not reported': CHOICE_SEEDS,
        'frames that measure action errors': HELD_OUT_SEEDS,
        'scenes to train on': TRAINING_SEEDS,
        'episodes of DAgger': DAGGER_SEEDS,
    }
    return table(('Seeds for', 'Begin at'), ((text, f'{seed:,}') for text, seed in first.items()))


def suites() -> str:
    """Return the suites with their tasks and variations."""
    from sara_ros.sim.suites import MOVE_SLOT, STACK_SLOT, SUITES

    names = {STACK_SLOT: 'stack one block on another', MOVE_SLOT: 'move a block beside another'}
    rows = []
    for suite in SUITES.values():
        more = [names[slot] for slot in suite.slots if slot in names]
        usual = len(suite.slots) - len(more)
        tasks = [*([f'the {usual} instructions'] if usual else []), *more]
        variations = ', '.join(map(code, suite.variations)) or 'none'
        rows.append((code(suite.name), '; '.join(tasks), variations))
    return table(('Suite', 'Tasks', 'Variations'), rows)


def ranges() -> str:
    """Return how far the variations go, in the suites and where a policy is trained on them."""
    from sara_ros.sim.variations import RANGES, TRAINING_RANGES

    suite, training = (
        {key: value for key, value in asdict(each).items() if key not in _NO_RANGES}
        for each in (RANGES, TRAINING_RANGES)
    )
    rows = ((code(name), _range(suite[name]), _range(training[name])) for name in suite)
    return table(('Range', 'Suites', 'Training'), rows)


def sentences() -> str:
    """Return the sentences of each task, in the suites and to train on."""
    from sara_ros.sim.wordings import LEARNED, PARAPHRASES

    rows = (
        (code(verb), *('; '.join(each.get(verb, ())) for each in (PARAPHRASES, LEARNED)))
        for verb in PARAPHRASES
    )
    return table(('Task', 'Suites', 'Training'), rows)


def rules() -> str:
    """Return delay, length and thresholds of an episode."""
    from sara_ros.evaluation.closed_loop_episode import RULES
    from sara_ros.sim.tasks import THRESHOLDS

    values = {**asdict(RULES), **asdict(THRESHOLDS)}
    return table(('Rule', 'Value'), ((code(name), f'{value:g}') for name, value in values.items()))


def _range(value: Any) -> str:
    return ' to '.join(f'{end:g}' for end in value) if isinstance(value, tuple) else f'{value:g}'
