"""Observation values to what a network takes, with the checks that name the need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from sara_ros.core import Observation, ObservationError, PolicySpec
from sara_ros.policies.rt2_config import StateInput

Array = NDArray[Any]


def image_tensor(observation: Observation, name: str, height: int, width: int) -> Tensor:
    """
    Return the image ``name`` as ``(1, height, width, 3)`` uint8.

    Shrinking averages areas, as training images are made; normalisation is the network's.

    :raises ObservationError: unless it is ``(H, W, 3)`` uint8.
    """
    image = observation[name]
    if image.ndim != 3 or image.shape[2] != 3:
        _refuse('shape', name, '(H, W, 3)', str(image.shape))
    if image.dtype != np.uint8:
        _refuse('dtype', name, 'uint8', str(image.dtype))
    if 0 in image.shape:
        _refuse('shape', name, 'a non-empty image', str(image.shape))
    return torch.from_numpy(_shrunk(image, height, width))[None]


def _shrunk(image: Array, height: int, width: int) -> Array:
    """Average areas; halving first is exact to one level in 255 and takes a third of the time."""
    while image.shape[0] >= 4 * height and image.shape[1] >= 4 * width:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    small: Array = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small


@dataclass(frozen=True, slots=True)
class StatePart:
    """A state observation: how many numbers it has, and whether it is poses of seven each."""

    name: str
    size: int
    pose: bool = False


def state_parts(spec: PolicySpec, inputs: tuple[StateInput, ...]) -> tuple[StatePart, ...]:
    """
    Look up which state inputs of a network are poses.

    :raises SpecError: when the spec lacks one.
    """
    return tuple(
        StatePart(part.name, part.size, spec.observation(part.name).kind == 'pose')
        for part in inputs
    )


def state_tensor(observation: Observation, parts: tuple[StatePart, ...]) -> Tensor:
    """
    Return the state values one after the other as ``(1, S)`` float32.

    Of the two quaternions of a rotation, the one whose largest number is positive is used.

    :raises ObservationError: for a wrong size, and for values that are not finite.
    """
    values = []
    for part in parts:
        value = np.asarray(observation[part.name], np.float32).reshape(-1)
        if value.size != part.size:
            _refuse('shape', part.name, f'{part.size} values', str(observation[part.name].shape))
        if not np.isfinite(value).all():
            _refuse('nan', part.name, 'finite values', 'NaN or infinity')
        values.append(_one_sign(value) if part.pose else value)
    joined = np.concatenate(values) if values else np.zeros(0, np.float32)
    return torch.from_numpy(joined)[None]


def _one_sign(poses: Array) -> Array:
    rows = poses.reshape(-1, 7).copy()
    quaternions = rows[:, 3:]
    largest = np.abs(quaternions).argmax(axis=1)
    signs = np.sign(quaternions[np.arange(len(rows)), largest])
    quaternions *= np.where(signs == 0, 1, signs)[:, None]
    flat: Array = rows.reshape(-1)
    return flat


def _refuse(reason: str, name: str, expected: str, seen: str) -> None:
    raise ObservationError(reason, f"observation '{name}': expected {expected}, seen {seen}")
