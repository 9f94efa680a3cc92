"""Runs side by side act as each would alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from policies import small_models
import pytest

from sara_ros.core import ActionChunk, Observation, PolicySpec
from sara_ros.policies import load_policy
from sara_ros.policies.seats import Seats
from sara_ros.policies.threads import one_thread

HISTORY = {'history': 3, 'frame_spacing_sec': 0.1, 'history_layers': 1}


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Keep torch from spinning while other processes work."""
    with one_thread():
        yield


def _observation(kind: str, seed: int) -> Observation:
    rng = np.random.default_rng(seed)
    values = {
        'ee_pose': np.array([*rng.uniform(0, 0.5, 3), 1, 0, 0, 0], np.float32),
        'finger_joint': rng.uniform(0, 0.04, 1).astype(np.float32),
    }
    if kind == 'rt2':
        values['front'] = rng.integers(0, 255, (48, 72, 3), np.uint8)
    else:
        values['points'] = rng.uniform(0, 0.5, (200 + seed, 6)).astype(np.float32)
    return Observation.of(small_models.INSTRUCTIONS[seed % 2], **values)


@pytest.mark.parametrize(
    ('kind', 'changes'),
    [('rt2', {}), ('rt2', HISTORY), ('rt2', {'horizon': 2}), ('pct', {}),
     ('pct', {'grasp_symmetry': 4})],
)  # fmt: skip
def test_a_batch_acts_as_each_alone(tmp_path: Path, kind: str, changes: dict[str, object]) -> None:
    """Also with history: each seat remembers its own run only, and one begins anew."""
    small_models.make(tmp_path, kind, **changes)
    alone = [load_policy(tmp_path, 'tiny') for _ in range(3)]
    seats = Seats(load_policy(tmp_path, 'tiny'), 3)
    for step in range(5):
        here = {seat: _observation(kind, 10 * step + seat) for seat in (2, 0, 1)[: 2 + step % 2]}
        if step == 3:
            alone[2].reset()
            seats.reset(2)
        together = seats.act(here)
        assert list(together) == list(here)
        for seat, observation in here.items():
            expected = alone[seat].act(observation)
            np.testing.assert_allclose(together[seat].values, expected.values, atol=1e-5)
            assert set(together[seat].timing.stages_ns) == {'preprocess', 'inference'}
            if expected.uncertainty is not None:
                unsure = together[seat].uncertainty
                np.testing.assert_allclose(unsure, expected.uncertainty, atol=1e-4)
            for name, value in expected.extras.items():
                np.testing.assert_allclose(together[seat].extras[name], value, atol=1e-4)


class Counting:
    """A policy of another kind."""

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec
        self.resets = 0

    def act(self, observation: Observation) -> ActionChunk:
        return ActionChunk(np.full((1, 8), observation['ee_pose'][0]), observation.timing)

    def reset(self) -> None:
        self.resets += 1


def test_a_policy_of_another_kind_acts_for_one_after_another() -> None:
    policy = Counting(small_models.spec('rt2'))
    seats = Seats(policy, 2)
    seats.reset(1)
    seen = {seat: _observation('rt2', seat) for seat in (0, 1)}
    chunks = seats.act(seen)
    assert policy.resets == 1
    for seat, chunk in chunks.items():
        assert chunk.values[0, 0] == seen[seat]['ee_pose'][0]
