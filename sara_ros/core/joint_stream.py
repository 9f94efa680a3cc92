"""Joint commands of a policy as a smooth, dense stream of positions."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core.action import FloatArray
from sara_ros.core.errors import ActionError

Float64Array = NDArray[np.float64]

POINTS: Final = 4
"""Points of a period unless somebody asks for another number."""


class JointStream:
    """
    Cubic interpolation between the joint commands of a policy, one command a period.

    Controllers that get positions only connect them by straight lines and stop between two
    messages. Here each command becomes ``points`` positions of a cubic that starts with the
    position and the velocity in which the one before ended, so that commands and chunks are
    spliced without a step in either. What is expected to follow is appended and ends at rest:
    the arm goes on through a late command and comes to a stop without one. Where nothing is known
    to follow, it slows down over half a command's motion.

    :param joints: measured joint positions at the start, at rest, shape ``(joints,)``.
    :param points: positions a period.
    :param max_speed: largest change of what follows, in rad or m a second.
    """

    def __init__(
        self,
        joints: FloatArray,
        period_sec: float,
        *,
        points: int = POINTS,
        max_speed: float = 2.5,
    ) -> None:
        """Begin at rest."""
        self._period_sec = period_sec
        self._shares = np.arange(1, points + 1) / points
        self._max_change = max_speed * period_sec
        self._position = np.asarray(joints, np.float64)
        self._velocity = np.zeros_like(self._position)

    @property
    def step_sec(self) -> float:
        """Time between two positions."""
        return self._period_sec / len(self._shares)

    def positions(self, command: FloatArray, following: FloatArray | None = None) -> FloatArray:
        """
        Return the positions of this period and of the ``following`` ones.

        :param command: target at the end of this period, shape ``(joints,)``.
        :param following: expected targets of the next periods, ``(steps, joints)``, may be
            empty; ``None`` to stop at every command.
        :return: one period or more, shape ``(periods * points, joints)``.
        :raises ActionError: for another number of joints, and for NaN.
        """
        if command.shape != self._position.shape or not np.isfinite(command).all():
            raise ActionError(
                f'expected {self._position.size} finite joint positions, got {command}'
            )
        knots = [self._position, np.asarray(command, np.float64)]
        knots += self._following(knots[0], knots[1], following)
        velocities = [self._velocity, *self._tangents(knots)]
        pieces = [
            self._cubic(*knots[index : index + 2], *velocities[index : index + 2])
            for index in range(len(knots) - 1)
        ]
        self._position, self._velocity = knots[1], velocities[1]
        positions: FloatArray = np.concatenate(pieces).astype(np.float32)
        return positions

    def _following(
        self, start: Float64Array, command: Float64Array, following: FloatArray | None
    ) -> list[Float64Array]:
        """Limit what follows, which no guard has seen yet, or coast where nothing does."""
        if following is None:
            return []
        bounded: list[Float64Array] = []
        last = command
        for each in following:
            target = np.asarray(each, np.float64)
            if target.shape != last.shape or not np.isfinite(target).all():
                break
            last = np.clip(target, last - self._max_change, last + self._max_change)
            bounded.append(last)
        return bounded or [command + (command - start) / 2]

    def _tangents(self, knots: list[Float64Array]) -> list[Float64Array]:
        """Return velocities at all knots but the first; the last is at rest."""
        tangents = []
        for before, here, after in zip(knots[:-2], knots[1:-1], knots[2:], strict=True):
            left, right = here - before, after - here
            # At most twice the smaller slope, and none at a turn: the cubic then stays between
            # its knots, and motion that halves in a period, as coasting does, enters it evenly.
            limit = 2 * np.minimum(np.abs(left), np.abs(right))
            steady = np.where(left * right > 0, left, 0)
            tangents.append(np.clip(steady, -limit, limit) / self._period_sec)
        return [*tangents, np.zeros_like(knots[-1])]

    def _cubic(
        self, start: Float64Array, end: Float64Array, leaving: Float64Array, arriving: Float64Array
    ) -> Float64Array:
        s = self._shares[:, None]
        positions: Float64Array = (
            (2 * s**3 - 3 * s**2 + 1) * start
            + (s**3 - 2 * s**2 + s) * leaving * self._period_sec
            + (3 * s**2 - 2 * s**3) * end
            + (s**3 - s**2) * arriving * self._period_sec
        )
        return positions
