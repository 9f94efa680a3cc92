"""What costs nothing: the errors any policy trained on a recording must be compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sara_ros.training.lerobot import Episode


def baseline_errors(train: Sequence[Episode], held_out: Sequence[Episode]) -> dict[str, float]:
    """
    Return the mean absolute action error of three predictions on ``held_out``.

    ``training_mean`` predicts the mean action of ``train``, ``copy_state`` the present state,
    ``copy_previous_action`` the action before (so it leaves out the first of each episode).
    """
    mean = np.concatenate([episode.actions for episode in train]).mean(axis=0)
    return {
        'training_mean': _mean([episode.actions - mean for episode in held_out]),
        'copy_state': _mean([episode.actions - episode.states for episode in held_out]),
        'copy_previous_action': _mean([np.diff(episode.actions, axis=0) for episode in held_out]),
    }


def _mean(errors: Sequence[np.ndarray]) -> float:
    return float(np.abs(np.concatenate(errors)).mean())
