"""Observations and the counts of those dropped."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sara_ros.core import Observation, ObservationError
from sara_ros.core.drops import DropCounter


def test_a_missing_value_is_named():
    observation = Observation.of('go', camera=np.zeros(1), arm=np.ones(2))
    assert observation['arm'].sum() == 2
    with pytest.raises(ObservationError, match="no 'wrist'; it holds arm, camera") as caught:
        observation['wrist']
    assert caught.value.reason == 'missing'


def test_drops_are_counted_from_any_thread():
    drops = DropCounter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(drops.add, ['late', 'encoding'] * 2000))
    assert drops.counts() == {'encoding': 2000, 'late': 2000}
    assert list(drops.counts()) == ['encoding', 'late']
