"""What costs nothing: the errors any policy trained on a recording must be compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sara_ros.training.lerobot import Episode, Floats
from sara_ros.training.recorded_targets import Targets


def baseline_errors(
    train: Sequence[Episode], held_out: Sequence[Episode], targets: Targets
) -> dict[str, float]:
    """
    Return the mean absolute action error of three predictions on ``held_out``.

    ``training_mean`` predicts the mean action of ``train``, ``copy_state`` the present state (for
    displacements none, with the gripper as before; left out where the state says nothing of the
    action), ``copy_previous_action`` the action before (so it leaves out the first of each
    episode).
    """
    mean = np.concatenate([episode.actions for episode in train]).mean(axis=0)
    copied = [(episode.actions, targets.still(episode)) for episode in held_out]
    states = [actions - still for actions, still in copied if still is not None]
    return {
        'training_mean': _mean([episode.actions - mean for episode in held_out]),
        **({'copy_state': _mean(states)} if states else {}),
        'copy_previous_action': _mean([np.diff(episode.actions, axis=0) for episode in held_out]),
    }


def _mean(errors: Sequence[Floats]) -> float:
    return float(np.abs(np.concatenate(errors)).mean())
