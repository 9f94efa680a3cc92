"""Images reach a network as they did in training."""

import cv2
import numpy as np

from sara_ros.core import Observation
from sara_ros.policies.preprocess import image_tensor


def test_shrinking_averages_areas():
    """Halving first is within one level of averaging at once, and a picture of that size stays."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3), np.uint8), (0, 0), 3)
    small = image_tensor(Observation.of('', front=image), 'front', 72, 96)[0].numpy()
    at_once = cv2.resize(image, (96, 72), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - at_once).max() <= 1
    same = image_tensor(Observation.of('', front=small), 'front', 72, 96)[0].numpy()
    np.testing.assert_array_equal(same, small)
